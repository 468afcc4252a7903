"""From pixel scores, made scene by scene, to the rows of the results table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_ood.detectors import Detector
from scaling_ood.evaluation.chunks import StoredScene, seed_name, stored_scenes
from scaling_ood.evaluation.tables import all_estimates, bounds_of, fixed_columns, mark_column, over_seeds
from scaling_ood.images.scenes import ANOMALY, VOID, in_subset
from scaling_ood.metrics import (
    DetectionEstimates,
    DetectionMetrics,
    Estimate,
    NonFiniteScoreError,
    PerImageMean,
    PooledThresholds,
    mean_over_scenes,
)
from scaling_ood.parameters.common import PixelReportingSpec
from scaling_ood.products.preparation import Manifest, Preparation
from scaling_ood.products.records import CAUGHT, MEASURED, METRICS, RESULT_COLUMNS
from scaling_ood.products.scores import Scores
from scaling_ood.products.stored import StoredShards

WHOLE = "test"
"""Name of all test scenes together, in the column of OOD sets."""

AGGREGATIONS = ("per_image", "pooled")
SCENE_COLUMNS = ("seed", "id", "n_in", "n_out", *MEASURED)


def score_pixels(detector: Detector, scene: StoredScene, seed: int) -> NDArray[Any]:
    """Scores (H, W) at the label image's own size: outputs are up-sampled first, exactly as the network would."""
    try:
        return np.asarray(detector.score(scene.outputs(seed_name(seed), detector.needs))[0].numpy())
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise ValueError(f"detector {detector.name}, scene {scene.row['id']}, {seed_name(seed)}: {error}") from error


def measure_scenes(
    detectors: Mapping[int, Detector], outputs: StoredShards, manifest: Manifest, reporting: PixelReportingSpec
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of one detector over all test scenes and over each subset, in two passes and bounded memory per seed.

    Args:
        detectors: Seed to the detector, fitted.
        outputs: Of the network that it reads.
        manifest: All scenes.
        reporting: How to measure.

    Returns:
        `seed, ood_set, infinite_scores, aggregation, n_in, n_out, base_rate, fpr95, auroc, aupr, skipped,
        tpr_at_5_fpr`, and the bounds of the mean over the seeds, the same for each; and per scene with both kinds of
        pixels
        `seed, id, n_in, n_out, fpr95, auroc, aupr, tpr_at_5_fpr`.

    Raises:
        NonFiniteScoreError: A score is NaN; names detector, scene and count.
    """
    found = {seed: _measure_seed(one, outputs, manifest, reporting, seed) for seed, one in detectors.items()}
    metrics = pd.concat([one[0].assign(seed=seed) for seed, one in found.items()], ignore_index=True)
    per_scene = pd.concat([one[1].assign(seed=seed) for seed, one in found.items()], ignore_index=True)
    bounds = [
        bounds_of([[one] for one in by_seed]) for by_seed in zip(*(one[2] for one in found.values()), strict=True)
    ]
    metrics = metrics.join(pd.DataFrame(bounds * len(found)))
    metrics.insert(0, "seed", metrics.pop("seed"))
    return metrics, per_scene[list(SCENE_COLUMNS)]


def _measure_seed(
    detector: Detector, outputs: StoredShards, manifest: Manifest, reporting: PixelReportingSpec, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Estimate]]]:
    """Rows of one seed, its scenes, and the estimate behind each row."""
    members = {name: _members(manifest.rows, name) for name in manifest.preparation.ood}
    mean = PerImageMean(reporting.positive_class, fpr_rule=reporting.fpr_rule)
    thresholds = {name: PooledThresholds(reporting.positive_class) for name in members}
    infinite = dict.fromkeys(members, 0)
    for name, frame in frames(detector, outputs, manifest, seed):
        try:
            mean.add(name, *frame)
        except NonFiniteScoreError as error:
            raise ValueError(f"detector {detector.name}: {error}") from error
        for subset, collected in thresholds.items():
            if name in members[subset]:
                collected.add(*frame, image=name)
                infinite[subset] += int(np.isinf(frame[0][frame[2]]).sum())
    counts = {name: collected.counts(by_image=True) for name, collected in thresholds.items()}
    for name, frame in frames(detector, outputs, manifest, seed):
        for subset, counted in counts.items():
            if name in members[subset]:
                counted.add(*frame, image=name)
    per_scene = pd.DataFrame(
        [
            (name, r.n_in, r.n_ood, r.metrics.fpr, r.metrics.auroc, r.metrics.aupr, r.tpr)
            for name, r in mean.results.items()
        ],
        columns=["id", "n_in", "n_out", *MEASURED],
    )
    rows, estimates = [], []
    for name, pooled in counts.items():
        own = per_scene[per_scene["id"].isin(members[name])]
        skipped = len(members[name]) - len(own)
        fixed = {"ood_set": name, "infinite_scores": infinite[name]}
        rows.append({**fixed, "aggregation": "per_image", "skipped": skipped, **_mean_row(own, reporting)})
        found = pooled.estimates(fpr_rule=reporting.fpr_rule)
        metrics = DetectionMetrics(*(one.value for one in found))
        caught = pooled.tpr_estimate()
        over_scenes = mean_over_scenes(own[CAUGHT].to_numpy())
        estimates += [all_estimates(_over_scenes(own), over_scenes), all_estimates(found, caught)]
        shares = _counted(pooled.n_in, pooled.n_ood, reporting)
        rows.append({**fixed, "aggregation": "pooled", "skipped": 0, **shares, **_named(metrics), CAUGHT: caught.value})
    return pd.DataFrame(rows), per_scene, estimates


def summarise_scenes(
    metrics: pd.DataFrame, scores: Scores, prepared: Preparation, reporting: PixelReportingSpec
) -> pd.DataFrame:
    """Rows of the results table for one detector: every set of test scenes, per image and pooled, and the mean.

    Metrics are means over the seeds. The subsets are part of all test scenes, so the mean is over all of them alone.
    """
    fixed = {**fixed_columns(scores, prepared, reporting), "positive_class": reporting.positive_class}
    if scores.gap:
        sets = [(name, aggregation) for name in (*prepared.ood, "mean") for aggregation in AGGREGATIONS]
        rows = [{**fixed, "ood_set": name, "aggregation": aggregation} for name, aggregation in sets]
        return pd.DataFrame(rows).reindex(columns=list(RESULT_COLUMNS))
    groups = metrics.groupby(["ood_set", "aggregation"], sort=False)
    means = pd.DataFrame(
        [{**over_seeds(per_seed), "infinite_scores": per_seed["infinite_scores"].max()} for _, per_seed in groups]
    )
    table = (
        groups.head(1)
        .drop(columns=["seed", "infinite_scores", *MEASURED])
        .reset_index(drop=True)
        .join(means)
        .assign(**fixed)
    )
    whole = table[table["ood_set"] == WHOLE].assign(ood_set="mean", mean_of=WHOLE, base_rate=np.nan)
    return pd.concat([table, whole], ignore_index=True).reindex(columns=list(RESULT_COLUMNS))


def mark_scene_ties(
    results: pd.DataFrame,
    per_scene: Mapping[str, pd.DataFrame],
    manifest: Manifest,
    reporting: PixelReportingSpec,
) -> pd.DataFrame:
    """Say for the per-image rows which detectors cannot be told from the best, the scenes being what varies.

    Pixels of one scene are not independent, so nothing is said of pooled rows; nor of a single scene.
    """
    marked = results.astype({f"{metric}_tied": object for metric in METRICS})
    for name in manifest.preparation.ood:
        ids = _members(manifest.rows, name)
        own = {d: rows[rows["id"].isin(ids)].sort_values("id") for d, rows in per_scene.items() if len(rows)}
        if own:
            column = (marked["ood_set"] == name) & (marked["aggregation"] == "per_image")
            estimates = {d: [_over_scenes(one) for _, one in rows.groupby("seed")] for d, rows in own.items()}
            mark_column(marked, column, estimates, reporting)
    return marked


def _over_scenes(rows: pd.DataFrame) -> DetectionEstimates:
    """Estimates of the means over some scenes."""
    return DetectionEstimates(*(mean_over_scenes(rows[name].to_numpy()) for name in ("auroc", "aupr", "fpr95")))


def frames(
    detector: Detector, outputs: StoredShards, manifest: Manifest, seed: int
) -> Iterator[tuple[str, tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]]]:
    """Of each test scene its id, and its scores (H, W) with two masks: anomalous, and not void."""
    for scene in stored_scenes(outputs, manifest, "test"):
        ids = scene.train_ids
        yield str(scene.row["id"]), (score_pixels(detector, scene, seed), ids == ANOMALY, ids != VOID)


def _members(manifest: pd.DataFrame, name: str) -> frozenset[str]:
    test = manifest["image_set"] == "test"
    chosen = test if name == WHOLE else test & in_subset(manifest, name)
    return frozenset(manifest.loc[chosen, "id"])


def _mean_row(own: pd.DataFrame, reporting: PixelReportingSpec) -> dict[str, float]:
    share = own["n_out"] / (own["n_in"] + own["n_out"])
    rate = float((share if reporting.positive_class == "ood" else 1 - share).mean())
    counts = {"n_in": int(own["n_in"].sum()), "n_out": int(own["n_out"].sum()), "base_rate": rate}
    return counts | {metric: float(own[metric].mean()) for metric in MEASURED}


def _counted(n_in: int, n_ood: int, reporting: PixelReportingSpec) -> dict[str, float]:
    positive = n_ood if reporting.positive_class == "ood" else n_in
    return {"n_in": n_in, "n_out": n_ood, "base_rate": positive / (n_in + n_ood)}


def _named(metrics: DetectionMetrics) -> dict[str, float]:
    return {"fpr95": metrics.fpr, "auroc": metrics.auroc, "aupr": metrics.aupr}
