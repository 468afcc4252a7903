"""The form of the paper's tables: what stands in their rows and in their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Layout:
    """The form of one table.

    Attributes:
        heading: `Table 1`.
        title: What it is about.
        rows: Columns of the comparison that make the headings of rows, outermost first, and how they are called.
        columns: Those that make the headings of columns, outermost first.
        beside: Where ours stands: in `rows` under the paper's or in `columns` to its right.
    """

    heading: str
    title: str
    rows: Mapping[str, str]
    columns: tuple[str, ...]
    beside: Literal["rows", "columns"] = "rows"


_SET = "in-distribution"

LAYOUTS = {
    "1": Layout("Table 1", "Multi-class detection, means over the OOD sets", {"in_dist": _SET}, ("metric", "column")),
    "2": Layout("Table 2", "Species, AUROC", {"in_dist": _SET, "row": "OOD set"}, ("model", "column")),
    "3": Layout("Table 3", "Multi-label detection", {"in_dist": _SET, "metric": "metric"}, ("column",)),
    "4": Layout("Table 4", "Anomaly segmentation (CAOS)", {"in_dist": _SET, "metric": "metric"}, ("column",)),
    "5": Layout(
        "Table 5",
        "Multi-class detection in full; B is MSP, M MaxLogit, D DeVries and Taylor, K KL matching",
        {"in_dist": _SET, "row": "OOD set"},
        ("metric", "column"),
    ),
    "6": Layout(
        "Table 6",
        "Anomaly segmentation on earlier data sets",
        {"in_dist": _SET, "metric": "metric"},
        ("column",),
        beside="columns",
    ),
    "7": Layout("Table 7", "Size of Species", {"row": "supercategory"}, ("column",), beside="columns"),
    "text": Layout(
        "In the text",
        "Numbers that stand in no table",
        {"row": "number", "in_dist": "data set", "note": "where", "metric": "metric"},
        (),
        beside="columns",
    ),
}
"""By number of the table."""


AGGREGATION_WORDS = {"per_image": "mean over images", "pooled": "all pixels"}
"""How the aggregations of pixels are called in headings."""

DIFFERENCE = "\N{GREEK CAPITAL LETTER DELTA}"
"""Heading of differences."""
