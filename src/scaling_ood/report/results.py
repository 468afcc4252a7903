"""The results as they are read: detectors by OOD sets, arranged for each convention (positive class, ...)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from scaling_ood.products.records import METRICS, RESULT_COLUMNS
from scaling_ood.report.table import DASH, STAR, Block, Cell, Gap, Heading, Line, Table, headings

TABLE_KEYS = ("benchmark", "setting", "in_dist", "positive_class", "aggregation", "fpr_rule")
"""Columns of the results that must agree for numbers to stand in one table."""

KEY_WORDS = {"in_dist": "in-distribution", "positive_class": "positive class", "fpr_rule": "FPR rule"}
"""How they are called, where that is not their name."""

METRIC_TITLES = {"fpr95": "FPR95↓", "auroc": "AUROC↑", "aupr": "AUPR↑"}

MEANS = ("mean", "mean_photographs", "mean_noise", "mean_fabricated")
"""Names of rows that are means over OOD sets, in the order in which they are shown."""

NOT_MEASURED = "not measured"
NO_MEAN = "no mean where a set has no number"

_CLASS_WORDS = {"ood": "OOD", "in_dist": "in-distribution"}
_CHANCE = {"auroc": 50.0, "fpr95": 95.0}
_SAME_RATE = 1e-9
_PUBLIC_COLUMNS = RESULT_COLUMNS[:13]


@dataclass(frozen=True)
class Column:
    """One OOD set, or one mean over OOD sets.

    Attributes:
        ood_set: Its name.
        is_mean: Whether it is a mean over sets.
        counted: How many images, pixels or sets it is over, in words.
        mean_of: Names of the sets that it is a mean over.
        under: What stands under its name: counts (a range if detectors differ), base rate, source.
        chance: What guessing reaches: metric to per cent. That of AUPR is the base rate, for a mean the mean of those
            of its sets; it is absent where one of them is not known.
    """

    ood_set: str
    is_mean: bool
    counted: str = ""
    mean_of: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    chance: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One detector.

    Attributes:
        detector: Its name.
        network: Name of the network that it reads.
        places: One per column: metric to number, in per cent.
        gap: One reason why it has no number at all.
    """

    detector: str
    network: str
    places: tuple[Mapping[str, Cell], ...]
    gap: str = ""


@dataclass(frozen=True)
class Results:
    """Detectors by columns under one convention.

    Attributes:
        keys: Value of each of `TABLE_KEYS`; empty text where the results say nothing.
        varying: Those keys by which this table differs from its sisters.
        columns: Means first, then the OOD sets in the order of the results.
        rows: Detectors in the order of the results.
    """

    keys: Mapping[str, str]
    varying: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """What tells it from its sisters; empty where there are none."""
        return ", ".join(f"{KEY_WORDS.get(key, key)}: {_word(key, self.keys[key])}" for key in self.varying)

    @property
    def leading(self) -> int:
        """Place of the first column in which a detector has an AUROC: the mean, unless every detector has a gap."""
        reached = (n for row in self.rows for n, cells in enumerate(row.places) if cells["auroc"].value is not None)
        return min(reached, default=0)

    def by_auroc(self) -> list[Row]:
        """Rows by their AUROC in the leading column, highest first; those without one keep their order at the end."""
        leading = self.leading

        def key(row: Row) -> float:
            value = row.places[leading]["auroc"].value
            return math.inf if value is None else -value

        return sorted(self.rows, key=key)

    def tied_sets(self, row: Row, metric: str, among: Collection[str] = ()) -> tuple[int, int]:
        """On how many OOD sets a detector is tied with the best, of how many it has numbers on; `among` limits them."""
        numbers = [
            cells[metric]
            for cells, column in zip(row.places, self.columns, strict=True)
            if not column.is_mean and (not among or column.ood_set in among) and cells[metric].value is not None
        ]
        return sum(number.tied for number in numbers), len(numbers)

    def gaps(self) -> dict[str, str]:
        """Every detector, or detector and place, without a number, and why; detectors without any number first."""
        whole = {row.detector: row.gap for row in self.rows if row.gap}
        return whole | {
            f"{row.detector} on {column.ood_set}": cells["auroc"].gap
            for row in self.rows
            if not row.gap
            for column, cells in zip(self.columns, row.places, strict=True)
            if cells["auroc"].gap and not column.is_mean
        }


def arranged(results: pd.DataFrame) -> list[Results]:
    """Arrange the rows of `results.csv`.

    Args:
        results: With at least the public columns of `RESULT_COLUMNS`; a column that is absent counts as empty.

    Raises:
        ValueError: A public column is missing, or a detector has two rows in one place of a table.
    """
    missing = [name for name in _PUBLIC_COLUMNS if name not in results.columns]
    if missing:
        raise ValueError(f"The results lack the columns {missing}; they have {list(results.columns)}.")
    frame = results.reindex(columns=list(RESULT_COLUMNS)).map(as_text)
    groups = [(tuple(map(str, values)), rows) for values, rows in frame.groupby(list(TABLE_KEYS), sort=False)]
    varying = tuple(key for place, key in enumerate(TABLE_KEYS) if len({values[place] for values, _ in groups}) > 1)
    return [_of_one_convention(rows, dict(zip(TABLE_KEYS, values, strict=True)), varying) for values, rows in groups]


def results_table(results: Results) -> Table:
    """All metrics of all columns, with intervals, ties and counts, ready to be written in any format."""
    columns = [(column.ood_set, title) for column in results.columns for title in METRIC_TITLES.values()]
    means = [column.ood_set for column in results.columns if column.is_mean]
    under: dict[tuple[str, ...], tuple[str, ...]] = {(column.ood_set,): column.under for column in results.columns}

    def heading(path: tuple[str, ...]) -> Heading:
        return Heading(path[-1], under.get(path, ()), look="mean" if path[0] in means else "")

    lines = tuple(_line(results, row) for row in results.rows)
    has_spread = any(cell.sd is not None for line in lines for cell in line.cells)
    wanted = ("positive_class", "aggregation", "fpr_rule")
    notes = (
        (STAR, "best of its column, or statistically tied with it"),
        (f"a{DASH}b", "the 95 % interval of the value"),
        (DASH, "no number; the reason is named"),
        ("all values", "in per cent" + (", mean ± standard deviation over seeds" if has_spread else "")),
        *((KEY_WORDS.get(key, key), _word(key, results.keys[key])) for key in wanted if results.keys[key]),
        *((one.ood_set, f"mean over {', '.join(one.mean_of)}") for one in results.columns if one.mean_of),
    )
    return Table(
        name="results",
        title=", ".join(filter(None, (results.keys["benchmark"], results.keys["setting"]))) or "Results",
        about=results.title or "OOD detection",
        stubs=("detector",),
        header=headings(columns, heading),
        blocks=(Block(lines),),
        notes=notes,
        gaps=tuple(Gap(f"{where}: {reason}") for where, reason in results.gaps().items()),
    )


def _line(results: Results, row: Row) -> Line:
    """A detector with all its numbers, and with its network where that is not the one that most detectors read."""
    ties, sets = results.tied_sets(row, "auroc")
    shared = Counter(other.network for other in results.rows).most_common(1)[0][0]
    under = (
        *([f"network: {row.network}"] if row.network not in ("", shared) else []),
        *([f"AUROC best or tied: {ties} of {sets}"] if sets > 1 else []),
    )
    cells = tuple(cells[metric] for cells in row.places for metric in METRICS)
    return Line((Heading(row.detector, under),), cells, row.gap)


def _word(key: str, value: str) -> str:
    """A key's value as it is called in prose."""
    return _CLASS_WORDS.get(value, value) if key == "positive_class" else value or "not stated"


def infinite_scores(results: pd.DataFrame) -> list[str]:
    """A sentence for each detector and OOD set with infinite scores, whatever the convention."""
    frame = results.reindex(columns=list(RESULT_COLUMNS))
    counts = pd.to_numeric(frame["infinite_scores"], errors="coerce").fillna(0).astype(int)
    named = [
        f"{row['detector']} on {row['ood_set']}: {count:,} scores are infinite; they rank first or last, and tie"
        for (_, row), count in zip(frame.iterrows(), counts, strict=True)
        if count and not as_text(row["mean_of"])
    ]
    return list(dict.fromkeys(named))


def as_text(value: Any) -> str:
    """A cell as text, empty if it is missing."""
    return "" if pd.isna(value) else str(value).strip()


def distinct_texts(values: Iterable[object]) -> list[str]:
    """Values that are there, in the order of their first appearance."""
    return [value for value in dict.fromkeys(map(as_text, values)) if value]


def _of_one_convention(frame: pd.DataFrame, keys: Mapping[str, str], varying: tuple[str, ...]) -> Results:
    """Rows that agree in all keys, arranged; their cells are text, empty where nothing is known."""
    by_set = {str(name): rows for name, rows in frame.groupby("ood_set", sort=False)}
    rates = {name: _base_rate(rows) for name, rows in by_set.items()}
    positive = _word("positive_class", keys["positive_class"])
    columns = [_column(name, rows, rates, positive) for name, rows in by_set.items()]
    columns.sort(key=lambda one: MEANS.index(one.ood_set) if one.ood_set in MEANS else len(MEANS) + (not one.is_mean))
    rows = tuple(_row(str(name), rows, columns) for name, rows in frame.groupby("detector", sort=False))
    return Results(keys, varying, tuple(columns), rows)


def _base_rate(rows: pd.DataFrame) -> float:
    """Share of the positive class on one OOD set; NaN where it is not known or detectors differ."""
    found = np.array(distinct_texts(rows["base_rate"]), np.float64)
    return float(found[0]) if len(found) and np.ptp(found) < _SAME_RATE else math.nan


def _column(name: str, rows: pd.DataFrame, rates: Mapping[str, float], positive: str) -> Column:
    """Describe an OOD set by what its rows say; `rates` holds the base rate of every set."""
    members = tuple(filter(None, next(iter(distinct_texts(rows["mean_of"])), "").split(";")))
    # Guessing reaches the base rate on each set, so on average the mean of them.
    guess = 100 * float(np.mean([rates.get(member, math.nan) for member in members or [name]]))
    chance = {**_CHANCE, **({} if math.isnan(guess) else {"aupr": guess})}
    if name in MEANS or members:
        counted = f"over {len(members) or 'all'} OOD set{'s' if len(members) != 1 else ''}"
        return Column(name, True, counted, members, (counted,), chance)
    n_in, n_out = (_span(rows[count], lambda number: f"{int(float(number)):,}") for count in ("n_in", "n_out"))
    base_rate = _span(rows["base_rate"], lambda share: f"{float(share):.1%}".replace("%", " %"))
    # Images without both kinds of pixels are counted where pixels are.
    unit = "pixels" if any(rows["skipped"]) else "images"
    noise_range, source = _span(rows["noise_range"]), _span(rows["ood_source"])
    source += f" ({noise_range} range)" if noise_range else ""
    under = (f"{n_out or '?'} OOD, {n_in or '?'} in-dist.", f"base rate {base_rate or '?'} {positive}", source)
    return Column(name, False, f"{n_out} OOD {unit}" if n_out else "", (), tuple(filter(None, under)), chance)


def _span(texts: Iterable[str], show: Callable[[str], str] = str) -> str:
    """The one text of a column; if rows differ, all of them, so that a difference is seen."""
    return " / ".join(show(text) for text in distinct_texts(texts))


def _row(detector: str, rows: pd.DataFrame, columns: Sequence[Column]) -> Row:
    """One detector's numbers."""
    twice = rows["ood_set"][rows["ood_set"].duplicated()]
    if len(twice):
        keys = ", ".join(TABLE_KEYS)
        raise ValueError(
            f"The results have two rows for detector {detector!r} on {twice.iloc[0]!r} that agree in {keys}."
        )
    by_set = {row["ood_set"]: row for row in rows.to_dict("records")}
    places = tuple(_numbers(by_set.get(column.ood_set), column) for column in columns)
    reasons = {cells["auroc"].gap for cells, column in zip(places, columns, strict=True) if not column.is_mean}
    nothing = all(cell.value is None for cells in places for cell in cells.values())
    return Row(detector, _span(rows["network"]), places, reasons.pop() if nothing and len(reasons) == 1 else "")


def _numbers(row: Mapping[Any, str] | None, column: Column) -> dict[str, Cell]:
    """One detector on one OOD set."""
    look = "mean" if column.is_mean else ""
    gap = row["gap"] if row else ""
    known = {metric: row for metric in METRICS if row[metric]} if row and not gap else {}
    reason = "" if known else gap or (NO_MEAN if column.is_mean else NOT_MEASURED)
    return {
        metric: _number(known[metric], metric, look) if metric in known else Cell(look=look, gap=reason)
        for metric in METRICS
    }


def _number(row: Mapping[Any, str], metric: str, look: str) -> Cell:
    """One metric of a row; marks that were read from CSV may have become numbers."""
    texts = {end: row[f"{metric}_{end}"] for end in ("sd", "low", "high", "tied")}
    sd, low, high = (100 * float(texts[end]) if texts[end] else None for end in ("sd", "low", "high"))
    return Cell(
        value=100 * float(row[metric]),
        sd=sd,
        interval=None if low is None or high is None else (low, high),
        tied=texts["tied"].lower() in {"true", "1", "1.0"},
        look=look,
    )
