"""From scores to the rows of the results table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from scaling_ood.metrics import (
    DetectionEstimates,
    Estimate,
    OneClassError,
    detection_estimates,
    detection_metrics,
    mean_interval,
    tied_estimates,
    tpr_at_fpr,
    tpr_estimate,
)
from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.products.preparation import Preparation
from scaling_ood.products.records import CAUGHT, MEASURED, METRICS, RESULT_COLUMNS
from scaling_ood.products.scores import Scores

MEAN = "mean"
TIES = ("distinct_scores", "infinite_scores")
"""Counts of a set's scores beside the metrics."""
_FEWEST_IMAGES = 2


def measure_scores(scores: Scores, prepared: Preparation, reporting: ReportingSpec) -> pd.DataFrame:
    """Metrics of one detector, a row per seed, OOD set and positive class; none if it has no meaning.

    Returns:
        `seed, ood_set, positive_class, n_in, n_out, fpr95, auroc, aupr, distinct_scores, infinite_scores,
        tpr_at_5_fpr`.

    Raises:
        OneClassError: A set is empty; names detector and set.
    """
    rows = []
    for seed in () if scores.gap else scores.seeds:
        by_set = scores.of(seed)
        for ood_set in prepared.ood:
            score, is_ood = _pair(by_set, ood_set)
            fixed = {"seed": seed, "ood_set": ood_set}
            counts = {"n_in": int((~is_ood).sum()), "n_out": int(is_ood.sum())}
            ties = {"distinct_scores": len(np.unique(score)), "infinite_scores": int(np.isinf(score).sum())}
            for positive in reporting.positive_classes:
                try:
                    found = detection_metrics(*_oriented(score, is_ood, positive), fpr_rule=reporting.fpr_rule)
                except OneClassError as error:
                    raise ValueError(f"detector {scores.detector}, OOD set {ood_set}: {error}") from error
                values = {"fpr95": found.fpr, "auroc": found.auroc, "aupr": found.aupr}
                values[CAUGHT] = tpr_at_fpr(score, is_ood)
                rows.append({**fixed, "positive_class": positive, **counts, **values, **ties})
    return pd.DataFrame(rows, columns=["seed", "ood_set", "positive_class", "n_in", "n_out", *METRICS, *TIES, CAUGHT])


def summarise(metrics: pd.DataFrame, scores: Scores, prepared: Preparation, reporting: ReportingSpec) -> pd.DataFrame:
    """Rows of the results table for one detector: OOD sets, then means."""
    tables = [_summary(metrics, scores, prepared, reporting, positive) for positive in reporting.positive_classes]
    return pd.concat(tables, ignore_index=True)


def fixed_columns(scores: Scores, prepared: Preparation, reporting: ReportingSpec) -> dict[str, Any]:
    """What all rows of one detector have in common."""
    return {
        "benchmark": prepared.benchmark,
        "setting": prepared.setting,
        "in_dist": prepared.in_dist,
        "detector": scores.detector,
        "seeds": len(scores.seeds),
        "targets": scores.about["targets"],
        "fpr_rule": reporting.fpr_rule,
        "model": scores.about["model"],
        "network": scores.about["network"],
        "gap": scores.gap,
    }


def _summary(
    metrics: pd.DataFrame, scores: Scores, prepared: Preparation, reporting: ReportingSpec, positive: str
) -> pd.DataFrame:
    own = metrics[metrics["positive_class"] == positive]
    n_in = prepared.images["test"]
    fixed = {
        **fixed_columns(scores, prepared, reporting),
        "positive_class": positive,
        "aggregation": "pooled",
        "n_in": n_in,
    }
    estimates = {} if scores.gap else {name: _named(scores, name, reporting, positive) for name in prepared.ood}
    rows = []
    for ood_set in prepared.ood:
        n_out = prepared.images[ood_set]
        noise = prepared.noise.get(ood_set)
        per_seed = own[own["ood_set"] == ood_set]
        rows.append(
            {
                **fixed,
                "ood_set": ood_set,
                "n_out": n_out,
                "base_rate": (n_out if positive == "ood" else n_in) / (n_in + n_out),
                "ood_source": prepared.sources[ood_set],
                "noise_range": noise.noise_range if noise else "",
                "distinct_scores": per_seed["distinct_scores"].min(),
                "infinite_scores": per_seed["infinite_scores"].max(),
                **over_seeds(per_seed),
                **_bounds(estimates, [ood_set]),
            }
        )
    for name, members in mean_groups(prepared).items():
        per_seed = own[own["ood_set"].isin(members)].groupby("seed")[list(MEASURED)].mean()
        n_out = sum(prepared.images[member] for member in members)
        row = {**fixed, "ood_set": name, "n_out": n_out, "mean_of": ";".join(members)}
        rows.append({**row, **over_seeds(per_seed), **_bounds(estimates, members)})
    return pd.DataFrame(rows).reindex(columns=list(RESULT_COLUMNS))


def mean_groups(prepared: Preparation) -> dict[str, Sequence[str]]:
    """Rows of means and what each is over: all sets, and each source of images where there are several.

    Noise, rendered images and photographs are of different difficulty, so their mean alone would hide which one moved.
    """
    groups: dict[str, Sequence[str]] = {MEAN: prepared.ood}
    sources = dict.fromkeys(prepared.sources[name] for name in prepared.ood)
    if len(sources) > 1:
        for source in sources:
            groups[f"{MEAN}_{source}"] = [name for name in prepared.ood if prepared.sources[name] == source]
    return groups


def mark_ties(
    results: pd.DataFrame, scores: Sequence[Scores], prepared: Preparation, reporting: ReportingSpec
) -> pd.DataFrame:
    """Say for each detector and OOD set whether it can be told from the best, on the identical images.

    Where a class has a single image nothing can be told: the columns stay empty.
    """
    present = [one for one in scores if not one.gap]
    marked = results.astype({f"{metric}_tied": object for metric in METRICS})
    for ood_set, positive in product(prepared.ood if present else (), reporting.positive_classes):
        column = (marked["ood_set"] == ood_set) & (marked["positive_class"] == positive)
        estimates = {one.detector: _estimates(one, ood_set, reporting, positive) for one in present}
        mark_column(marked, column, estimates, reporting)
    return marked


def mark_column(
    marked: pd.DataFrame,
    column: pd.Series[bool],
    estimates: Mapping[str, Sequence[DetectionEstimates]],
    reporting: ReportingSpec,
) -> None:
    """Write the marks of one column of the table into its rows.

    Args:
        marked: The results table; changed.
        column: Which rows belong to the column.
        estimates: Detector to its estimates, one per seed, on the same images.
        reporting: Level and draws of the test.
    """
    groups = next(iter(estimates.values()))[0].auroc.parts.values()
    if min(group.size for group in groups) < _FEWEST_IMAGES:
        return
    for metric in METRICS:
        rows = [[estimate_of(one, metric) for one in by_seed] for by_seed in estimates.values()]
        tied = tied_estimates(
            rows,
            lower_is_better=metric == "fpr95",
            level=reporting.tie_level,
            n_replicates=reporting.bootstrap_replicates,
        )
        for detector, flag in zip(estimates, tied, strict=True):
            marked.loc[column & (marked["detector"] == detector), f"{metric}_tied"] = bool(flag)


def estimate_of(estimates: DetectionEstimates, metric: str) -> Estimate:
    """The estimate of a metric by its name in the table."""
    return {"fpr95": estimates.fpr, "auroc": estimates.auroc, "aupr": estimates.aupr}[metric]


def all_estimates(found: DetectionEstimates, caught: Estimate) -> dict[str, Estimate]:
    """Estimates by the names in the table."""
    return {CAUGHT: caught, **{metric: estimate_of(found, metric) for metric in METRICS}}


def bounds_of(by_seed: Sequence[Sequence[Mapping[str, Estimate]]]) -> dict[str, float]:
    """Columns `*_low` and `*_high` of a row, from the estimates of every seed and OOD set that it is the mean of."""
    bounds: dict[str, float] = {}
    for metric in MEASURED:
        interval = mean_interval([[one[metric] for one in by_set] for by_set in by_seed])
        bounds |= {f"{metric}_low": interval.low, f"{metric}_high": interval.high}
    return bounds


def _bounds(estimates: Mapping[str, Sequence[Mapping[str, Estimate]]], members: Sequence[str]) -> dict[str, float]:
    """Bounds of the mean over some OOD sets; none for a gap."""
    return bounds_of(list(zip(*(estimates[name] for name in members), strict=True))) if estimates else {}


def _named(scores: Scores, ood_set: str, reporting: ReportingSpec, positive: str) -> list[dict[str, Estimate]]:
    """All estimates of one detector on one OOD set, one per seed."""
    caught = [tpr_estimate(*_pair(scores.of(seed), ood_set), names=("test", ood_set)) for seed in scores.seeds]
    found = _estimates(scores, ood_set, reporting, positive)
    return [all_estimates(*pair) for pair in zip(found, caught, strict=True)]


def _estimates(scores: Scores, ood_set: str, reporting: ReportingSpec, positive: str) -> list[DetectionEstimates]:
    """Estimates of one detector on one OOD set, one per seed."""
    names = ("test", ood_set) if positive == "ood" else (ood_set, "test")
    pairs = (_pair(scores.of(seed), ood_set) for seed in scores.seeds)
    return [
        detection_estimates(*_oriented(*pair, positive), fpr_rule=reporting.fpr_rule, names=names) for pair in pairs
    ]


def _pair(by_set: Mapping[str, pd.Series[float]], ood_set: str) -> tuple[np.ndarray, np.ndarray]:
    """In-distribution and OOD scores of one set, joined, and which are OOD: (N,), (N,)."""
    none: pd.Series[float] = pd.Series(dtype=float)
    known, unseen = (by_set.get(name, none).to_numpy() for name in ("test", ood_set))
    return np.concatenate([known, unseen]), np.arange(len(known) + len(unseen)) >= len(known)


def _oriented(score: np.ndarray, is_ood: np.ndarray, positive: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores and mask as the metrics want them, which take the True ones as the positive class."""
    return (score, is_ood) if positive == "ood" else (-score, ~is_ood)


def over_seeds(per_seed: pd.DataFrame) -> dict[str, float]:
    """Mean and standard deviation of each metric over the seeds, which are the rows; NaN for the spread of one."""
    values = {metric: float(per_seed[metric].mean()) for metric in MEASURED}
    spread = {f"{metric}_sd": float(per_seed[metric].std(ddof=1)) for metric in MEASURED}
    return values | spread
