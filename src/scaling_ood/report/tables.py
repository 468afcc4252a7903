"""The results table as it is read: detectors by OOD sets, one table per convention (positive class, labels, ...)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from scaling_ood.records import METRICS, RESULT_COLUMNS

TABLE_KEYS = ("benchmark", "setting", "in_dist", "model", "labels", "positive_class", "aggregation", "fpr_rule")
"""Columns of the results that must agree for numbers to stand in one table."""

MEANS = ("mean", "mean_photographs", "mean_noise", "mean_fabricated")
"""Names of rows that are means over OOD sets, in the order in which they are shown."""

DASH = "\N{EN DASH}"
"""Stands where there is no number."""

NOT_MEASURED = "not measured"
NO_MEAN = "no mean where a set has no number"

_CHANCE = {"auroc": 0.5, "fpr95": 0.95}
_SAME_RATE = 1e-9
_PUBLIC_COLUMNS = RESULT_COLUMNS[:13]


@dataclass(frozen=True)
class Number:
    """One metric as a fraction in [0, 1].

    Attributes:
        value: Mean over the seeds.
        sd: Standard deviation over the seeds; none for one seed.
        tied: Whether the detector cannot be told from the best of its column.
        interval: Lower and upper bound of the 95 % interval; none where it is not known.
    """

    value: float
    sd: float | None = None
    tied: bool = False
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Entry:
    """What one detector reached on one OOD set.

    Attributes:
        numbers: Metric name to number; empty where there is a gap, and without a metric that is not a number.
        gap: Why there is no number.
        distinct_scores: Number of distinct scores; none if not recorded.
    """

    numbers: Mapping[str, Number]
    gap: str = ""
    distinct_scores: int | None = None


@dataclass(frozen=True)
class Column:
    """One OOD set, or one mean over OOD sets.

    Attributes:
        ood_set: Its name.
        is_mean: Whether it is a mean over sets.
        mean_of: Names of these sets.
        n_in: Number of in-distribution images as text; a range if detectors differ; empty for a mean.
        n_out: Number of OOD images, likewise.
        base_rate: Share of the positive class, as a percentage.
        chance: What guessing reaches: metric to fraction. That of AUPR is the base rate, for a mean the mean of those
            of its sets; it is absent where one of them is not known.
        source: `photographs`, `noise` or `fabricated`, with the noise's range.
        seeds: Number of seeds, as text.
    """

    ood_set: str
    is_mean: bool
    mean_of: tuple[str, ...] = ()
    n_in: str = ""
    n_out: str = ""
    base_rate: str = ""
    chance: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    seeds: str = ""


@dataclass(frozen=True)
class Row:
    """One detector: an entry for each column, or one reason why it has no number at all."""

    detector: str
    entries: tuple[Entry, ...]
    gap: str = ""


@dataclass(frozen=True)
class ResultsTable:
    """Detectors by columns under one convention.

    Attributes:
        keys: Value of each of `TABLE_KEYS`; empty text where the results say nothing.
        varying: Those keys by which this table differs from its sisters.
        columns: Means first, then the OOD sets in the order of the results.
        rows: Detectors in the order of the results, then those that are only a gap.
    """

    keys: Mapping[str, str]
    varying: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def results_tables(results: pd.DataFrame, gaps: Mapping[str, str] | None = None) -> list[ResultsTable]:
    """Arrange the rows of `results.csv`.

    Args:
        results: With at least the public columns of `RESULT_COLUMNS`; a column that is absent counts as empty.
        gaps: Detector to the reason why it has no number; adds the detectors that have no row.

    Raises:
        ValueError: A public column is missing, or a detector has two rows in one place of a table.
    """
    missing = [name for name in _PUBLIC_COLUMNS if name not in results.columns]
    if missing:
        raise ValueError(f"The results lack the columns {missing}; they have {list(results.columns)}.")
    frame = results.reindex(columns=list(RESULT_COLUMNS)).reset_index(drop=True)
    keyed = pd.DataFrame({key: [as_text(value) for value in frame[key]] for key in TABLE_KEYS})
    whole = keyed[(keyed["positive_class"] != "") & (keyed["aggregation"] != "")]
    distinct = (whole if len(whole) else keyed).drop_duplicates()
    varying = tuple(key for key in TABLE_KEYS if distinct[key].nunique() > 1)
    return [
        _table(frame[_belongs(frame, keyed, keys)], keys, varying, gaps or {})
        for keys in ({str(key): str(value) for key, value in row.items()} for row in distinct.to_dict("records"))
    ]


def percent(value: float) -> str:
    """A fraction in per cent with one decimal, without the sign.

    >>> percent(0.8567)
    '85.7'
    """
    return f"{100 * value:.1f}"


def interval_text(number: Number) -> str:
    """Both bounds in per cent, or nothing.

    >>> interval_text(Number(0.831, interval=(0.8189, 0.8421)))
    '[81.9, 84.2]'
    """
    return "" if number.interval is None else f"[{percent(number.interval[0])}, {percent(number.interval[1])}]"


def leading(table: ResultsTable) -> int:
    """Place of the first column in which a detector has an AUROC: that of the mean, unless every detector has a gap."""
    reached = (place for row in table.rows for place, entry in enumerate(row.entries) if "auroc" in entry.numbers)
    return min(reached, default=0)


def by_auroc(table: ResultsTable) -> list[Row]:
    """Rows by their AUROC in the leading column, highest first; those without one keep their order at the end."""
    place = leading(table)

    def key(row: Row) -> float:
        number = row.entries[place].numbers.get("auroc") if row.entries else None
        return math.inf if number is None else -number.value

    return sorted(table.rows, key=key)


def tied_sets(table: ResultsTable, row: Row, metric: str, among: Collection[str] = ()) -> tuple[int, int]:
    """On how many OOD sets a detector is tied with the best, of how many it has numbers on; `among` limits them."""
    # A detector that is only a gap has no entries.
    entries = [
        entry
        for entry, column in zip(row.entries, table.columns, strict=False)
        if not column.is_mean and (not among or column.ood_set in among)
    ]
    numbers = [entry.numbers[metric] for entry in entries if metric in entry.numbers]
    return sum(number.tied for number in numbers), len(numbers)


def as_text(value: Any) -> str:
    """A cell as text, empty if it is missing."""
    return "" if pd.isna(value) else str(value).strip()


def _belongs(frame: pd.DataFrame, keyed: pd.DataFrame, keys: Mapping[str, str]) -> pd.Series[bool]:
    """Rows of one table; a gap belongs to every table that its keys, where it has any, do not exclude."""
    is_gap = frame["gap"].map(as_text) != ""
    belongs = pd.Series(True, index=frame.index)
    for key, value in keys.items():
        belongs &= (keyed[key] == value) | (is_gap & (keyed[key] == ""))
    return belongs


def _table(
    frame: pd.DataFrame, keys: Mapping[str, str], varying: tuple[str, ...], gaps: Mapping[str, str]
) -> ResultsTable:
    """One table from its rows."""
    sets = [name for name in dict.fromkeys(frame["ood_set"].map(as_text)) if name]
    rates = {name: _base_rate(frame[frame["ood_set"] == name]) for name in sets}
    columns = [_column(name, frame[frame["ood_set"] == name], rates) for name in sets]
    columns.sort(key=lambda column: _mean_rank(column) if column.is_mean else len(MEANS) + 1)
    detectors = [name for name in dict.fromkeys(frame["detector"].map(as_text)) if name]
    rows = [_row(name, frame[frame["detector"] == name], columns) for name in detectors]
    rows += [Row(name, (), reason) for name, reason in gaps.items() if name not in detectors]
    return ResultsTable(keys, varying, tuple(columns), tuple(rows))


def _mean_rank(column: Column) -> int:
    """Place of a mean among the means."""
    return MEANS.index(column.ood_set) if column.ood_set in MEANS else len(MEANS)


def _base_rate(rows: pd.DataFrame) -> float:
    """Share of the positive class on one OOD set; NaN where it is not known or detectors differ."""
    known = rows["base_rate"].map(as_text)
    found = known[known != ""].astype(float)
    return float(found.iloc[0]) if len(found) and np.ptp(found) < _SAME_RATE else float("nan")


def _column(name: str, rows: pd.DataFrame, rates: Mapping[str, float]) -> Column:
    """Describe an OOD set by what its rows say; `rates` holds the base rate of every set."""
    mean_of = next((part for part in rows["mean_of"].map(as_text) if part), "")
    members = [part for part in mean_of.split(";") if part]
    # Guessing reaches the base rate on each set, so on average the mean of them.
    guess = float(np.mean([rates.get(member, float("nan")) for member in members or [name]]))
    noise_range = _span(rows["noise_range"])
    source = _span(rows["ood_source"])
    return Column(
        ood_set=name,
        is_mean=name in MEANS or bool(mean_of),
        mean_of=tuple(members),
        n_in=_span(rows["n_in"], thousands),
        n_out=_span(rows["n_out"], thousands),
        base_rate=_span(rows["base_rate"], lambda share: f"{percent(float(share))} %"),
        chance={**_CHANCE, **({} if np.isnan(guess) else {"aupr": guess})},
        source=f"{source} ({noise_range} range)" if noise_range else source,
        seeds=_span(rows["seeds"], thousands),
    )


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


def thousands(number: str) -> str:
    """A whole number with groups of three digits.

    >>> thousands("1281167.0")
    '1,281,167'
    """
    return f"{int(float(number)):,}"


def _span(values: Iterable[object], show: Callable[[str], str] = str) -> str:
    """The one value of a column; if rows differ, all of them, so that a difference is seen."""
    return " / ".join(show(value) for value in dict.fromkeys(map(as_text, values)) if value)


def _row(detector: str, rows: pd.DataFrame, columns: list[Column]) -> Row:
    """One detector's entries; a gap without an OOD set is a gap everywhere."""
    by_set: dict[str, pd.Series[Any]] = {}
    for _, row in rows.iterrows():
        name = as_text(row["ood_set"])
        if name in by_set:
            raise ValueError(
                f"The results have two rows for detector {detector!r} on {name!r} that agree in "
                f"{', '.join(TABLE_KEYS)}."
            )
        by_set[name] = row
    if set(by_set) == {""}:
        return Row(detector, (), as_text(by_set[""]["gap"]))
    entries = tuple(_entry(by_set.get(column.ood_set), column) for column in columns)
    reasons = {entry.gap for entry, column in zip(entries, columns, strict=True) if not column.is_mean}
    whole_gap = reasons.pop() if len(reasons) == 1 and not any(entry.numbers for entry in entries) else ""
    return Row(detector, entries, whole_gap)


def _entry(row: pd.Series[Any] | None, column: Column) -> Entry:
    """One detector on one OOD set."""
    silent = NO_MEAN if column.is_mean else NOT_MEASURED
    if row is None:
        return Entry({}, silent)
    gap = as_text(row["gap"])
    if gap:
        return Entry({}, gap)
    numbers = {metric: _number(row, metric) for metric in METRICS if as_text(row[metric])}
    distinct = as_text(row["distinct_scores"])
    return Entry(numbers, "" if numbers else silent, int(float(distinct)) if distinct else None)


def _number(row: pd.Series[Any], metric: str) -> Number:
    """One metric of a row; tables read from CSV hold the marks as text or as floats."""
    sd = as_text(row[f"{metric}_sd"])
    tied = as_text(row[f"{metric}_tied"]).lower() in {"true", "1", "1.0"}
    bounds = [as_text(row[f"{metric}_{end}"]) for end in ("low", "high")]
    interval = (float(bounds[0]), float(bounds[1])) if all(bounds) else None
    return Number(float(as_text(row[metric])), float(sd) if sd else None, tied, interval)
