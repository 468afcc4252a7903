"""The paper's tables, laid out: which number stands where, what its headings are, and what stands under it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, NamedTuple

import pandas as pd

from scaling_ood.report.paper.comparing import typed
from scaling_ood.report.paper.marking import Marks
from scaling_ood.report.paper.published import QUANTITIES, TABLES
from scaling_ood.report.paper.sources import gaps_of, sources_of
from scaling_ood.report.table import Block, Cell, Heading, Line, Table, headings
from scaling_ood.wording import refuse_unknown

Record = Mapping[str, Any]
Key = tuple[str, ...]
Axis = Literal["rows", "columns"]


@dataclass(frozen=True)
class Layout:
    """The form of one table.

    Attributes:
        title: `Table 1`.
        about: What it is about.
        rows: Columns of the comparison that make the headings of rows, outermost first, and how they are called.
        columns: Those that make the headings of columns, outermost first.
        beside: Where ours stands: in `rows` under the paper's or in `columns` to its right.
    """

    title: str
    about: str
    rows: Mapping[str, str]
    columns: tuple[str, ...]
    beside: Axis = "rows"


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

_AGGREGATION_WORDS = {"per_image": "mean over images", "pooled": "all pixels"}
_DIFFERENCE = "\N{GREEK CAPITAL LETTER DELTA}"


class Part(NamedTuple):
    """What a cell shows of a number.

    Attributes:
        kind: `paper`, `ours` or `difference`.
        turn: Which of several aggregations of ours, from 0.
        label: How it is called in headings.
    """

    kind: str
    turn: int
    label: str


def paper_tables(comparison: pd.DataFrame) -> list[Table]:
    """All of `TABLES`, see `paper_table`."""
    return [paper_table(number, comparison) for number in TABLES]


def paper_table(number: str, comparison: pd.DataFrame) -> Table:
    """A table in the paper's form, with our values.

    Args:
        number: One of `TABLES`.
        comparison: With the columns of `COMPARISON_COLUMNS`, as `compare` gives it or as it is read from a CSV file.

    Raises:
        ValueError: There is no such table, or nothing of it in the comparison.
    """
    refuse_unknown("table", [number], TABLES)
    frame = typed(comparison)
    records = [
        {str(name): value for name, value in row.items()} for row in frame[frame["table"] == number].to_dict("records")
    ]
    if not records:
        raise ValueError(f"the comparison holds nothing of table {number}")
    return _Grid(number, records).table()


class _Grid:
    """Rows and columns of one table, while it is being laid out."""

    def __init__(self, number: str, records: Sequence[Record]) -> None:
        """Take the numbers."""
        self.number = number
        self.layout = LAYOUTS[number]
        self.records = records
        self.marks = Marks(number)
        self.row_keys = list(dict.fromkeys(_key(self.layout.rows, one) for one in records))
        self.column_keys = list(dict.fromkeys(_key(self.layout.columns, one) for one in records))
        self.found: dict[tuple[Key, Key], list[Record]] = {}
        for one in records:
            self.found.setdefault((_key(self.layout.rows, one), _key(self.layout.columns, one)), []).append(one)
        self.parts = _parts(next(iter(self.found.values())))

    def table(self) -> Table:
        """The table, laid out."""
        # In the order of reading, so that footnotes are marked in it.
        whole = self.marks.of_table()
        header = self._header()
        # Lines of one in-distribution set belong together where they are divided by it first.
        divided = next(iter(self.layout.rows)) == "in_dist"
        by_set = groupby(self.row_keys, key=lambda key: key[0] if divided else "")
        blocks = tuple(self._block(list(keys)) for _, keys in by_set)
        stubs = tuple(self.layout.rows.values())
        return Table(
            name=self.number,
            title=self.layout.title,
            about=self.layout.about,
            marks=whole,
            stubs=(*stubs, "value") if self.layout.beside == "rows" else stubs,
            header=header,
            blocks=blocks,
            footnotes=self.marks.texts,
            notes=tuple(("ours", source) for source in sources_of(self.records)),
            gaps=gaps_of(self.records),
        )

    def _header(self) -> tuple[tuple[Heading, ...], ...]:
        if self.layout.beside == "rows":
            return headings(self.column_keys, lambda path: self._heading("columns", path))
        paths = [(*key, part.label) for key in self.column_keys for part in self.parts]
        depth = len(self.layout.columns)
        return headings(paths, lambda path: Heading(path[-1]) if len(path) > depth else self._heading("columns", path))

    def _block(self, keys: list[Key]) -> Block:
        """The lines of some rows; without those that would show numbers of ours, where there is none."""
        lines = tuple(line for key in keys for line in self._lines(key))
        inside = [one for one in self.records if _key(self.layout.rows, one) in keys]
        if any(one["gap"] == "" for one in inside):
            return Block(lines)
        return Block(tuple(line for line in lines if line.look in ("", "paper")), gaps_of(inside))

    def _lines(self, key: Key) -> list[Line]:
        stubs = tuple(self._heading("rows", key[:depth]) for depth in range(1, len(key) + 1))
        if self.layout.beside == "columns":
            cells = tuple(self._cell(key, column, part) for column in self.column_keys for part in self.parts)
            return [Line(stubs, cells)]
        return [
            Line(
                (*stubs, Heading(part.label, look="part")),
                tuple(self._cell(key, column, part) for column in self.column_keys),
                look=part.kind,
            )
            for part in self.parts
        ]

    def _cell(self, row: Key, column: Key, part: Part) -> Cell:
        turns = self.found.get((row, column), [])
        if part.turn >= len(turns):
            return Cell(look=part.kind)
        record = turns[part.turn]
        printed = int(record["decimals"])
        shown = max(1, printed) if QUANTITIES[record["metric"]].is_share else 0
        if part.kind == "paper":
            marks = self.marks.of_number(record)
            return Cell(_number(record["published"]), printed, look="paper", marks=marks)
        if part.kind == "ours":
            return Cell(_number(record["ours"]), shown, look="ours", gap=record["gap"])
        look = f"difference {_tone(record)}".rstrip()
        return Cell(_number(record["difference"]), shown, signed=True, look=look, gap=record["gap"])

    def _heading(self, axis: Axis, prefix: Key) -> Heading:
        marks = self.marks.of_heading(self._under(axis, prefix), self._under(axis, prefix[:-1]))
        return Heading(prefix[-1], marks=marks)

    def _under(self, axis: Axis, prefix: Key) -> list[Record]:
        """The numbers under a heading."""
        levels = tuple(self.layout.rows) if axis == "rows" else self.layout.columns
        return [one for one in self.records if _key(levels, one)[: len(prefix)] == prefix]


def _parts(turns: Sequence[Record]) -> list[Part]:
    """The paper's number, then ours and the difference for each of our aggregations of one number."""
    parts = [Part("paper", 0, "paper")]
    for turn, record in enumerate(turns):
        told = f", {_AGGREGATION_WORDS[record['aggregation']]}" if len(turns) > 1 else ""
        parts += [Part("ours", turn, "ours" + told), Part("difference", turn, _DIFFERENCE)]
    return parts


def _key(levels: Iterable[str], record: Record) -> Key:
    """Texts of a number's headings."""
    return tuple(QUANTITIES[record[level]].title if level == "metric" else str(record[level]) for level in levels)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _tone(record: Record) -> str:
    """How ours compares with the paper's."""
    if pd.isna(record["difference"]):
        return ""
    if record["agrees"]:
        return "agrees"
    gain = record["difference"] * QUANTITIES[record["metric"]].better
    return "differs" if gain == 0 else "better" if gain > 0 else "worse"
