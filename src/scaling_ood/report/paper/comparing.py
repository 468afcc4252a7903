"""Our number beside each published one, and the difference; where there is none, why, and what makes it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import pandas as pd

from scaling_ood.products.records import METRICS, RESULT_COLUMNS
from scaling_ood.report.paper.published import Counterpart, Place, PublishedNumber, counterpart_of, published_numbers
from scaling_ood.report.results import as_text

PAPER_FPR_RULE = "nearest"
"""How the paper's reference code picks the threshold behind FPR95."""

COMPARISON_COLUMNS = (
    *(field.name for field in fields(PublishedNumber) if field.name != "value"),
    *("benchmark", "setting", "aggregation"),
    *("published", "decimals", "ours", "ours_sd", "ours_low", "ours_high", "difference", "agrees", "architecture"),
    *(f"{count}_{end}" for count in ("n_in", "n_out", "base_rate") for end in ("least", "most")),
    *("mean_of", "gap", "command"),
)
"""One row per published number (two where the paper does not say how pixels are aggregated).

- `table` to `note`: the published number, see `PublishedNumber`. `published`: its value, in per cent or a count; empty
  where it is missing; `decimals` of its digits are printed after the point.
- `benchmark`, `setting`, `aggregation`: where ours is.
- `ours`: unrounded, in the unit of `published`; `ours_sd`: its standard deviation over seeds;
  `ours_low`, `ours_high`: its 95 % interval.
- `difference`: ours minus published, in points (or images); `agrees`: whether it is within the rounding of the print.
- `architecture`, `mean_of`: of ours. `n_in_least`, `n_in_most`, and so for `n_out` and `base_rate`: range over the OOD
  sets.
- `gap`: why there is no number of ours; `command`: what makes it, where something does.
"""

_SPREAD = ("sd", "low", "high")
_NUMBERS = ("published", "decimals", "ours", "ours_sd", "ours_low", "ours_high", "difference")

Row = Mapping[str, Any]
Runs = Mapping[tuple[Place, str], Sequence[Row]]
"""Place and detector to rows of the results."""

Facts = Mapping[tuple[Place, str], Mapping[str, float]]
"""Place and metric to the values by image set; that of the mAP is empty."""


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


def compare(
    results: pd.DataFrame,
    *,
    qualities: Mapping[Place, Mapping[str, Any]] | None = None,
    preparations: Mapping[Place, Mapping[str, Any]] | None = None,
    class_counts: Mapping[Place, Mapping[str, int]] | None = None,
) -> pd.DataFrame:
    """Find our number for each published one.

    Args:
        results: Rows of any number of `results.csv`; benchmarks that the paper does not have are left aside.
        qualities: How good networks are; `map` is one fraction, or one per trained network, which are averaged.
        preparations: Records of the data: `images` by image set, and `anomalous_share` of the test's pixels.
        class_counts: Number of classes by image set; wanted of `places_of("classes")` alone.

    Returns:
        With the columns of `COMPARISON_COLUMNS`, in the order of print.

    Raises:
        ValueError: A published number has two rows of ours that differ in no public column.
    """
    runs = _runs(results)
    facts = _facts(qualities or {}, preparations or {}, class_counts or {})
    rows = [row for number in published_numbers() for row in _rows(number, runs, facts)]
    return pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))


def typed(comparison: pd.DataFrame) -> pd.DataFrame:
    """A comparison that was read from a CSV file as it was before: empty text is text, marks are true or false."""
    numeric = [name for name in COMPARISON_COLUMNS if name in _NUMBERS or name.endswith(("_least", "_most"))]
    texts = [name for name in COMPARISON_COLUMNS if name not in (*numeric, "agrees")]
    columns: dict[str, Any] = {name: comparison[name].map(as_text) for name in texts}
    columns["agrees"] = comparison["agrees"].map(lambda mark: {"true": True, "false": False}.get(as_text(mark).lower()))
    return comparison.assign(**columns)


def _runs(results: pd.DataFrame) -> Runs:
    """The rows of the results, sorted; columns that older results lack are empty."""
    runs: dict[tuple[Place, str], list[Row]] = {}
    for row in results.reindex(columns=list(RESULT_COLUMNS)).to_dict("records"):
        place = (as_text(row["benchmark"]), as_text(row["setting"]))
        runs.setdefault((place, as_text(row["detector"])), []).append({str(name): row[name] for name in row})
    return runs


def _facts(
    qualities: Mapping[Place, Mapping[str, Any]],
    preparations: Mapping[Place, Mapping[str, Any]],
    class_counts: Mapping[Place, Mapping[str, int]],
) -> Facts:
    """What benchmarks record beside their results, by place and metric."""
    facts: dict[tuple[Place, str], Mapping[str, float]] = {}
    for place, quality in qualities.items():
        if "map" in quality:
            value = quality["map"]
            facts[place, "map"] = {"": sum(value.values()) / len(value) if isinstance(value, Mapping) else value}
    for place, record in preparations.items():
        facts[place, "images"] = record["images"]
        if "anomalous_share" in record:
            facts[place, "anomalous_share"] = {"test": record["anomalous_share"]}
    return facts | {(place, "classes"): counts for place, counts in class_counts.items()}


def _rows(number: PublishedNumber, runs: Runs, facts: Facts) -> Iterator[Row]:
    """A published number with ours, once per aggregation of ours."""
    place = counterpart_of(number)
    is_metric = number.metric in METRICS
    for aggregation in place.aggregations if is_metric else ("",):
        fixed = {name: getattr(number, name) for name in COMPARISON_COLUMNS if hasattr(number, name)}
        fixed |= {"benchmark": place.benchmark, "setting": place.setting, "aggregation": aggregation}
        fixed |= {"published": float(number.value or "nan"), "decimals": number.decimals}
        try:
            found = _in_results(number, place, aggregation, runs) if is_metric else _in_facts(number, place, facts)
        except NoNumberError as missing:
            yield fixed | {"gap": missing.reason, "command": missing.command}
        else:
            yield {**fixed, **_beside(number, found)}


def _beside(number: PublishedNumber, found: Row) -> Row:
    """Our number in the unit of print, and how far it is from what is printed."""
    scale = 100 if number.quantity.is_share else 1
    scaled = {name: scale * value if name.startswith("ours") else value for name, value in found.items()}
    told = {"architecture": "", "mean_of": "", "gap": "", "command": "", **scaled}
    if number.value:
        difference = told["ours"] - float(number.value)
        # A hair more than half a digit: what lies exactly between two prints agrees with both.
        told |= {"difference": difference, "agrees": abs(difference) <= 0.5 * 10**-number.decimals + 1e-9}
    return told


def _in_results(number: PublishedNumber, place: Counterpart, aggregation: str, runs: Runs) -> Row:
    """The number in the results: a row, or the mean over the rows of exactly the sets of the published one.

    Returns:
        Columns of the comparison that are about ours; those that begin with `ours` in the unit of the results.

    Raises:
        NoNumberError: The benchmark has not been run, lacks the detector or a set, or gives a reason of its own.
        ValueError: Two rows agree in all that tells rows apart.
    """
    who = f"{place.benchmark}, {number.detector}"
    mine = runs.get((place.place, number.detector))
    if mine is None:
        has_run = any(place.place == whose for whose, _ in runs)
        lacking = f"the results of {place.benchmark} have no {number.detector}"
        raise NoNumberError(lacking if has_run else f"{place.benchmark} has not been run", place.command())
    for row in mine:
        if as_text(row["gap"]) and as_text(row["ood_set"]) in ("", *number.sets):
            raise NoNumberError(f"{who}: {as_text(row['gap'])}")
    kind = [row for row in mine if (row["positive_class"], row["aggregation"]) == (number.positive_class, aggregation)]
    wanted = _sets(number, kind)
    rows = [row for name in wanted for row in kind if row["ood_set"] == name]
    there = [row["ood_set"] for row in rows]
    missing = [name for name in wanted if name not in there]
    if missing:
        counted = f"{aggregation}, positive class {number.positive_class}"
        raise NoNumberError(f"{who}: no row for {', '.join(missing)} ({counted})", place.command())
    twice = next((name for name in wanted if there.count(name) > 1), None)
    if twice:
        raise ValueError(
            f"The results of {place.benchmark} have {there.count(twice)} rows for detector {number.detector!r} on "
            f"{twice!r} that agree in positive class and aggregation."
        )
    if number.metric == "fpr95" and any(as_text(row["fpr_rule"]) not in ("", PAPER_FPR_RULE) for row in rows):
        raise NoNumberError(f"{place.benchmark}: FPR95 is by another rule than the paper's, {PAPER_FPR_RULE!r}")
    values = [_float(row[number.metric]) for row in rows]
    if any(map(math.isnan, values)):
        raise NoNumberError(f"{who}: the results hold no {number.metric}")
    return {
        "ours": sum(values) / len(values),
        **_spread(number, rows, kind),
        "architecture": as_text(rows[0]["model"]),
        **_ranges(rows),
        "mean_of": ";".join(there) if len(rows) > 1 else as_text(rows[0]["mean_of"]),
    }


def _sets(number: PublishedNumber, kind: Sequence[Row]) -> tuple[str, ...]:
    """The sets that ours has to be over: those of the paper, or the one set of a benchmark that has no other."""
    if number.sets != ("mean",):
        return number.sets
    there = {as_text(row["ood_set"]) for row in kind}
    over = dict.fromkeys(as_text(row["mean_of"]) for row in kind if row["ood_set"] == "mean")
    return tuple(name for name in over if name in there) or number.sets


def _spread(number: PublishedNumber, rows: Sequence[Row], kind: Sequence[Row]) -> dict[str, float]:
    """Spread and interval of one row, or of the mean over several where the results have that very mean."""
    means = (row for row in kind if set(as_text(row["mean_of"]).split(";")) == set(number.sets))
    whole = rows[0] if len(rows) == 1 else next(means, None)
    return {} if whole is None else {f"ours_{end}": _float(whole[f"{number.metric}_{end}"]) for end in _SPREAD}


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


def _in_facts(number: PublishedNumber, place: Counterpart, facts: Facts) -> Row:
    """The number among the facts; over several sets the sum.

    Raises:
        NoNumberError: The benchmark has not been prepared (or run), or without one of the sets.
    """
    stage = "" if number.metric == "map" else "data_preparation"
    mine = facts.get((place.place, number.metric))
    if not mine:
        known = any(whose == place.place for whose, _ in facts)
        lacking = f"records no {number.metric}" if known else f"has not been {'prepared' if stage else 'run'}"
        raise NoNumberError(f"{place.benchmark} {lacking}", place.command(stage))
    wanted = number.sets or ("",)
    missing = [name for name in wanted if name not in mine]
    if missing:
        raise NoNumberError(f"{place.benchmark} was prepared without {', '.join(missing)}", place.command(stage))
    return {"ours": float(sum(mine[name] for name in wanted)), "mean_of": number.ood_set if len(wanted) > 1 else ""}
