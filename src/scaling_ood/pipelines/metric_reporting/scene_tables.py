"""From pixel scores, made scene by scene, to the rows of the results table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_ood.datasets import StoredShards
from scaling_ood.detectors import Detector, Outputs
from scaling_ood.images.scenes import ANOMALY, VOID, in_subset
from scaling_ood.metrics import DetectionMetrics, NonFiniteScoreError, PerImageMean, PooledThresholds
from scaling_ood.models.segmentation import upsample
from scaling_ood.parameters import IdentitySpec, ReportingSpec
from scaling_ood.pipelines.score_extraction.scene_nodes import StoredScene, scenes
from scaling_ood.records import METRICS, RESULT_COLUMNS
from scaling_ood.scene_parameters import SegmenterSpec
from scaling_ood.scene_preparation import WHOLE, ScenePreparation

AGGREGATIONS = ("per_image", "pooled")


def score_pixels(detector: Detector, scene: StoredScene) -> NDArray[Any]:
    """Scores (H, W) at the label image's own size: outputs are up-sampled first, exactly as the network would."""
    size, stored = scene.train_ids.shape, scene.outputs
    variance = stored.posterior_variance
    outputs = Outputs(
        logits=upsample(stored.logits, size),  # (1, C, H, W)
        posterior_variance=None if variance is None else upsample(variance[:, None], size)[:, 0],
    )
    return np.asarray(detector.score(outputs)[0].numpy())


def measure_scenes(
    detector: Detector,
    outputs: StoredShards,
    manifest: pd.DataFrame,
    prepared: ScenePreparation,
    reporting: ReportingSpec,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of one detector over all test scenes and over each subset, in two passes and bounded memory.

    Returns:
        `ood_set, aggregation, n_in, n_out, base_rate, fpr95, auroc, aupr, skipped`; and per scene with both kinds of
        pixels `id, n_in, n_out, fpr95, auroc, aupr`.

    Raises:
        NonFiniteScoreError: A score is NaN; names detector, scene and count.
    """
    members = {name: _members(manifest, name) for name in prepared.ood_sets}
    mean = PerImageMean(reporting.positive_class, fpr_rule=reporting.fpr_rule)
    thresholds = {name: PooledThresholds(reporting.positive_class) for name in members}
    for name, frame in _frames(detector, outputs, manifest, prepared):
        try:
            mean.add(name, *frame)
        except NonFiniteScoreError as error:
            raise ValueError(f"detector {detector.name}: {error}") from error
        for subset, collected in thresholds.items():
            if name in members[subset]:
                collected.add(*frame, image=name)
    counts = {name: collected.counts() for name, collected in thresholds.items()}
    for name, frame in _frames(detector, outputs, manifest, prepared):
        for subset, counted in counts.items():
            if name in members[subset]:
                counted.add(*frame, image=name)
    per_scene = pd.DataFrame(
        [(name, r.n_in, r.n_ood, r.metrics.fpr, r.metrics.auroc, r.metrics.aupr) for name, r in mean.results.items()],
        columns=["id", "n_in", "n_out", *METRICS],
    )
    rows = []
    for name, pooled in counts.items():
        own = per_scene[per_scene["id"].isin(members[name])]
        skipped = len(members[name]) - len(own)
        rows.append({"ood_set": name, "aggregation": "per_image", "skipped": skipped, **_mean_row(own, reporting)})
        metrics = pooled.metrics(fpr_rule=reporting.fpr_rule)
        shares = _counted(pooled.n_in, pooled.n_ood, reporting)
        rows.append({"ood_set": name, "aggregation": "pooled", "skipped": 0, **shares, **_named(metrics)})
    return pd.DataFrame(rows), per_scene


def summarise_scenes(
    metrics: pd.DataFrame,
    detector: str,
    gap: str,
    prepared: ScenePreparation,
    spec: SegmenterSpec,
    reporting: ReportingSpec,
    identity: IdentitySpec,
) -> pd.DataFrame:
    """Rows of the results table for one detector: every set of test scenes, per image and pooled, and the mean.

    The subsets are part of all test scenes, so the mean is over all of them alone.
    """
    fixed: dict[str, Any] = {
        "benchmark": identity.benchmark,
        "setting": identity.setting,
        "in_dist": prepared.data_set,
        "detector": detector,
        "positive_class": reporting.positive_class,
        "seeds": 1,
        "labels": "fine",
        "fpr_rule": reporting.fpr_rule,
        "model": spec.architecture,
        "gap": gap,
    }
    if gap:
        sets = [(name, aggregation) for name in (*prepared.ood_sets, "mean") for aggregation in AGGREGATIONS]
        rows = [{**fixed, "ood_set": name, "aggregation": aggregation} for name, aggregation in sets]
        return pd.DataFrame(rows).reindex(columns=list(RESULT_COLUMNS))
    table = metrics.assign(**fixed)
    whole = table[table["ood_set"] == WHOLE].assign(ood_set="mean", mean_of=WHOLE, base_rate=np.nan)
    return pd.concat([table, whole], ignore_index=True).reindex(columns=list(RESULT_COLUMNS))


def mark_scene_ties(
    results: pd.DataFrame,
    per_scene: Mapping[str, pd.DataFrame],
    manifest: pd.DataFrame,
    prepared: ScenePreparation,
    reporting: ReportingSpec,
) -> pd.DataFrame:
    """Say for the per-image rows which detectors cannot be told from the best: a paired bootstrap over the scenes.

    Pixels of one scene are not independent, so nothing is said of pooled rows.
    """
    marked = results.astype({f"{metric}_tied": object for metric in METRICS})
    for name in prepared.ood_sets:
        ids = _members(manifest, name)
        tables = {d: rows[rows["id"].isin(ids)].set_index("id") for d, rows in per_scene.items() if len(rows)}
        for metric in METRICS if tables else ():
            values = np.stack([table[metric].to_numpy() for table in tables.values()])  # (D, scenes)
            tied = _tied_means(values, metric, reporting)
            for detector, flag in zip(tables, tied, strict=True):
                mine = (marked["detector"] == detector) & (marked["ood_set"] == name)
                marked.loc[mine & (marked["aggregation"] == "per_image"), f"{metric}_tied"] = bool(flag)
    return marked


def _tied_means(values: NDArray[np.float64], metric: str, reporting: ReportingSpec) -> NDArray[np.bool_]:
    mean = values.mean(axis=1)
    best = int(mean.argmin() if metric == "fpr95" else mean.argmax())
    count = values.shape[1]
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), reporting.bootstrap_replicates)
    replicates = draws @ (values - values[best]).T / count  # (replicates, D)
    low, high = np.quantile(replicates, [reporting.tie_level / 2, 1 - reporting.tie_level / 2], axis=0)
    return np.asarray(((low <= 0) & (high >= 0)) | (mean == mean[best]))


def _frames(
    detector: Detector, outputs: StoredShards, manifest: pd.DataFrame, prepared: ScenePreparation
) -> Iterator[tuple[str, tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]]]:
    for scene in scenes(outputs, manifest, prepared, "test"):
        ids = scene.train_ids
        yield str(scene.row["id"]), (score_pixels(detector, scene), ids == ANOMALY, ids != VOID)


def _members(manifest: pd.DataFrame, name: str) -> frozenset[str]:
    test = manifest["image_set"] == "test"
    chosen = test if name == WHOLE else test & in_subset(manifest, name)
    return frozenset(manifest.loc[chosen, "id"])


def _mean_row(own: pd.DataFrame, reporting: ReportingSpec) -> dict[str, float]:
    share = own["n_out"] / (own["n_in"] + own["n_out"])
    rate = float((share if reporting.positive_class == "ood" else 1 - share).mean())
    counts = {"n_in": int(own["n_in"].sum()), "n_out": int(own["n_out"].sum()), "base_rate": rate}
    return counts | {metric: float(own[metric].mean()) for metric in METRICS}


def _counted(n_in: int, n_ood: int, reporting: ReportingSpec) -> dict[str, float]:
    positive = n_ood if reporting.positive_class == "ood" else n_in
    return {"n_in": n_in, "n_out": n_ood, "base_rate": positive / (n_in + n_ood)}


def _named(metrics: DetectionMetrics) -> dict[str, float]:
    return {"fpr95": metrics.fpr, "auroc": metrics.auroc, "aupr": metrics.aupr}


def chosen_scenes(manifest: pd.DataFrame, count: int) -> Sequence[str]:
    """Ids of a few test scenes with an anomaly, the same for every detector: drawn by a fixed seed."""
    ids = manifest.loc[(manifest["image_set"] == "test") & (manifest["anomalous"] > 0), "id"].to_numpy()
    drawn = np.random.default_rng(0).permutation(len(ids))[:count]
    return [str(name) for name in ids[np.sort(drawn)]]
