"""Finding our number for a published one, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from scaling_ood.comparison.counterparts import Counterpart
from scaling_ood.comparison.published import PublishedNumber
from scaling_ood.report.tables import as_text

PAPER_FPR_RULE = "nearest"
"""How the paper's reference code picks the threshold behind FPR95."""


@dataclass(frozen=True)
class Ours:
    """A number of ours, in the unit of `results.csv`.

    Attributes:
        value: A fraction, or a count.
        sd: Its standard deviation over seeds; NaN for one seed.
        interval: Bounds of its 95 % interval; NaN where they are not known.
        network: Architecture behind it.
        mean_of: The sets that it is over, joined by `;`, where there are several.
        ranges: `n_in_least`, `n_in_most`, and so for `n_out` and `base_rate`, over these sets.
    """

    value: float
    sd: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    network: str = ""
    mean_of: str = ""
    ranges: Mapping[str, float] = field(default_factory=dict)


class NoNumberError(LookupError):
    """There is no number of ours.

    Attributes:
        reason: Names the benchmark, and what of it is missing.
        command: What makes the number; empty where nothing does.
    """

    def __init__(self, reason: str, command: str = "") -> None:
        """Take reason and remedy."""
        super().__init__(reason)
        self.reason = reason
        self.command = command


Row = Mapping[str, Any]
Runs = Mapping[tuple[str, str], Mapping[str, Sequence[Row]]]
"""Benchmark and setting, then detector, to rows of the results."""


def runs_of(results: pd.DataFrame) -> Runs:
    """The rows of any number of `results.csv`, sorted."""
    runs: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in results.to_dict("records"):
        place = (as_text(row["benchmark"]), as_text(row["setting"]))
        named = {str(name): value for name, value in row.items()}
        runs.setdefault(place, {}).setdefault(as_text(row["detector"]), []).append(named)
    return runs


def find_in_results(number: PublishedNumber, place: Counterpart, aggregation: str, runs: Runs) -> Ours:
    """The number in the results: a row, or the mean over the rows of exactly the sets of the published one.

    Args:
        number: What to find.
        place: Where.
        aggregation: `pooled` or `per_image`.
        runs: All results.

    Raises:
        NoNumberError: The benchmark has not been run, lacks the detector or a set, or gives a reason of its own.
        ValueError: Two rows agree in all that tells rows apart.
    """
    run = runs.get((place.benchmark, place.setting))
    if run is None:
        raise NoNumberError(f"{place.benchmark} has not been run", place.command())
    if number.detector not in run:
        raise NoNumberError(f"the results of {place.benchmark} have no {number.detector}", place.command())
    mine = run[number.detector]
    for row in mine:
        if as_text(row["gap"]) and as_text(row["ood_set"]) in ("", *number.sets):
            raise NoNumberError(f"{place.benchmark}, {number.detector}: {as_text(row['gap'])}")
    kind = [row for row in mine if (row["positive_class"], row["aggregation"]) == (number.positive_class, aggregation)]
    by_set = {name: [row for row in kind if row["ood_set"] == name] for name in _sets(number, kind)}
    missing = [name for name, rows in by_set.items() if not rows]
    if missing:
        counted = f"{aggregation}, positive class {number.positive_class}"
        raise NoNumberError(
            f"{place.benchmark}, {number.detector}: no row for {', '.join(missing)} ({counted})", place.command()
        )
    rows = [_only(rows, place, number) for rows in by_set.values()]
    if number.metric == "fpr95" and any(as_text(row["fpr_rule"]) not in ("", PAPER_FPR_RULE) for row in rows):
        raise NoNumberError(f"{place.benchmark}: FPR95 is by another rule than the paper's, {PAPER_FPR_RULE!r}")
    return _averaged(number, rows, kind)


def _sets(number: PublishedNumber, kind: Sequence[Row]) -> tuple[str, ...]:
    """The sets that ours has to be over: those of the paper, or the one set of a benchmark that has no other."""
    if number.sets != ("mean",):
        return number.sets
    there = {as_text(row["ood_set"]) for row in kind}
    over = dict.fromkeys(as_text(row["mean_of"]) for row in kind if row["ood_set"] == "mean")
    return tuple(name for name in over if name in there) or number.sets


def _only(rows: Sequence[Row], place: Counterpart, number: PublishedNumber) -> Row:
    if len(rows) > 1:
        raise ValueError(
            f"The results of {place.benchmark} have {len(rows)} rows for detector {number.detector!r} on "
            f"{rows[0]['ood_set']!r} that agree in positive class and aggregation."
        )
    return rows[0]


def _averaged(number: PublishedNumber, rows: Sequence[Row], kind: Sequence[Row]) -> Ours:
    """Unweighted mean over the sets; its spread and interval are known where the results have that very mean."""
    values = [_float(row[number.metric]) for row in rows]
    if any(map(math.isnan, values)):
        raise NoNumberError(f"{rows[0]['benchmark']}, {number.detector}: the results hold no {number.metric}")
    means = (row for row in kind if set(as_text(row["mean_of"]).split(";")) == set(number.sets))
    whole = rows[0] if len(rows) == 1 else next(means, None)
    spread = {
        end: math.nan if whole is None else _float(whole[f"{number.metric}_{end}"]) for end in ("sd", "low", "high")
    }
    return Ours(
        value=sum(values) / len(values),
        sd=spread["sd"],
        interval=(spread["low"], spread["high"]),
        network=as_text(rows[0]["model"]),
        mean_of=";".join(str(row["ood_set"]) for row in rows) if len(rows) > 1 else as_text(rows[0]["mean_of"]),
        ranges=_ranges(rows),
    )


def _ranges(rows: Sequence[Row]) -> dict[str, float]:
    """Least and largest count and base rate; NaN where a row, such as one of means, does not have it."""
    found: dict[str, float] = {}
    for name in ("n_in", "n_out", "base_rate"):
        values = [_float(row[name]) for row in rows]
        known = [math.nan] if any(map(math.isnan, values)) else values
        found |= {f"{name}_least": min(known), f"{name}_most": max(known)}
    return found


def _float(value: Any) -> float:
    return float(as_text(value) or "nan")


def find_in_facts(number: PublishedNumber, place: Counterpart, facts: pd.DataFrame) -> Ours:
    """The number among the facts; over several sets the sum.

    Raises:
        NoNumberError: The benchmark has not been prepared (or run), or without one of the sets.
    """
    stage = "" if number.metric == "map" else "data_preparation"
    run = facts[(facts["benchmark"] == place.benchmark) & (facts["setting"] == place.setting)]
    mine = run[run["metric"] == number.metric].set_index("image_set")["value"]
    if mine.empty:
        lacking = f"has not been {'prepared' if stage else 'run'}" if run.empty else f"records no {number.metric}"
        raise NoNumberError(f"{place.benchmark} {lacking}", place.command(stage))
    wanted = number.sets or ("",)
    missing = [name for name in wanted if name not in mine.index]
    if missing:
        raise NoNumberError(f"{place.benchmark} was prepared without {', '.join(missing)}", place.command(stage))
    return Ours(float(sum(mine[name] for name in wanted)), mean_of=number.ood_set if len(wanted) > 1 else "")
