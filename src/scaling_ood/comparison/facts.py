"""What benchmarks record beside their results: sizes of data sets, and how good a network is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

FACT_COLUMNS = ("benchmark", "setting", "metric", "image_set", "value")
"""One fact per row; shares are fractions, counts whole numbers; `image_set` is empty for the mAP."""


class Place(NamedTuple):
    """Whose product it is."""

    benchmark: str
    setting: str


def gather_facts(
    accuracies: Mapping[Place, Mapping[str, Any]],
    preparations: Mapping[Place, Mapping[str, Any]],
    manifests: Mapping[Place, Callable[[], pd.DataFrame]],
    counted: frozenset[str] = frozenset(),
) -> pd.DataFrame:
    """The facts that published numbers can be compared with.

    Args:
        accuracies: `accuracy.json`; its `map` is one number, or one per trained network, which are averaged.
        preparations: `preparation.json`; its `images` and `anomalous_share`.
        manifests: Loaders of manifests, whose classes are counted.
        counted: Benchmarks whose classes are wanted; no other manifest is loaded.

    Returns:
        With the columns of `FACT_COLUMNS`.
    """
    rows: list[tuple[str, str, str, str, float]] = []
    for place, accuracy in accuracies.items():
        if "map" in accuracy:
            rows.append((*place, "map", "", _mean(accuracy["map"])))
    for place, record in preparations.items():
        rows += [(*place, "images", str(name), count) for name, count in record["images"].items()]
        if "anomalous_share" in record:
            rows.append((*place, "anomalous_share", "test", record["anomalous_share"]))
    for place, load in manifests.items():
        if place.benchmark in counted:
            classes = load().groupby("image_set", sort=False)["class_name"].nunique()
            rows += [(*place, "classes", str(name), int(count)) for name, count in classes.items()]
    return pd.DataFrame(rows, columns=list(FACT_COLUMNS))


def _mean(value: float | Mapping[str, float]) -> float:
    """One network's value, or the mean over several."""
    return sum(value.values()) / len(value) if isinstance(value, Mapping) else float(value)
