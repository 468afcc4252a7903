"""From pixel scores, made scene by scene, to the rows of the results table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scaling_ood.detectors import Detector
from scaling_ood.evaluation.chunks import StoredScene, seed_name, stored_scenes
from scaling_ood.evaluation.side_by_side import side_by_side
from scaling_ood.evaluation.tables import all_estimates, fixed_columns, mark_column, over_seeds
from scaling_ood.images.scenes import ANOMALY, VOID, in_subset
from scaling_ood.metrics import (
    DetectionEstimates,
    DetectionMetrics,
    Estimate,
    ImageResult,
    NonFiniteScoreError,
    PerImageMean,
    PooledCounts,
    mean_over_scenes,
)
from scaling_ood.metrics.pixels import PositiveClass, split_classes
from scaling_ood.metrics.pooled import Placed
from scaling_ood.parameters.common import PixelReportingSpec
from scaling_ood.products.preparation import Manifest, Preparation
from scaling_ood.products.records import CAUGHT, MEASURED, METRICS, RESULT_COLUMNS
from scaling_ood.products.scores import Scores
from scaling_ood.products.stored import StoredShards

WHOLE = "test"
"""Name of all test scenes together, in the column of OOD sets."""

AGGREGATIONS = ("per_image", "pooled")
_CPU = torch.device("cpu")
SCENE_COLUMNS = ("seed", "id", "n_in", "n_out", *MEASURED)
SceneRow = tuple[str, int, int, float, float, float, float]
"""What is measured in a scene: `SCENE_COLUMNS` without the seed."""


def score_pixels(
    detector: Detector,
    scene: StoredScene,
    seed: int,
    device: torch.device = _CPU,
    wanted: NDArray[np.bool_] | None = None,
) -> torch.Tensor:
    """Scores (H, W) at the label image's own size, strip by strip: outputs are up-sampled, as the network would.

    Args:
        detector: Fitted.
        scene: Of which pixels.
        seed: Of the network.
        device: Where outputs are up-sampled and scored, and scores remain.
        wanted: (H, W) the pixels whose scores are needed; strips without any are not scored, and hold anything.
    """
    scores = torch.empty(0)
    try:
        for rows, outputs in scene.strips(seed_name(seed), detector.needs, device, wanted):
            strip = detector.score(outputs)[0]
            scores = scores if len(scores) else strip.new_empty(scene.train_ids.shape)
            scores[rows] = strip
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise ValueError(f"detector {detector.name}, scene {scene.row['id']}, {seed_name(seed)}: {error}") from error
    return scores


def collect_positive(
    detector: Detector,
    scenes: Iterable[Callable[[], StoredScene]],
    positive_class: PositiveClass,
    seed: int,
    device: torch.device,
) -> dict[str, NDArray[Any]]:
    """The first pass over some scenes: id to the scores of its pixels of the positive class.

    Raises:
        ValueError: A score is NaN; names detector, scene and count.
    """
    return dict(side_by_side(partial(_positive, detector, seed, positive_class, device), scenes, device))


def count_scenes(
    detector: Detector,
    scenes: Iterable[Callable[[], StoredScene]],
    counts: Mapping[str, PooledCounts],
    members: Mapping[str, Collection[str]],
    reporting: PixelReportingSpec,
    seed: int,
    device: torch.device,
) -> tuple[list[SceneRow], dict[str, int]]:
    """The second pass over some scenes: pixels are counted among thresholds, and each scene is measured.

    Args:
        detector: Fitted.
        scenes: To be read.
        counts: Subset to where its pixels are counted.
        members: Subset to the ids of its scenes.
        reporting: How to measure.
        seed: Of the network.
        device: Where outputs are up-sampled, scored and ranked.

    Returns:
        A row for each scene with both kinds of pixels; and subset to its infinite scores.
    """
    mean = PerImageMean(reporting.positive_class, fpr_rule=reporting.fpr_rule)
    infinite = dict.fromkeys(members, 0)

    def rank(read: Callable[[], StoredScene]) -> tuple[str, ImageResult | str, int, dict[str, Placed]]:
        scene = read()
        name = str(scene.row["id"])
        both = _both_classes(detector, scene, seed, reporting.positive_class, device)
        infinities = sum(int((abs(each) == np.inf).sum()) for each in both)
        placed = {subset: counts[subset].place(*both) for subset, ids in members.items() if name in ids}
        counted = next((each.alone for each in placed.values()), None)
        return name, mean.measure(*both, counted), infinities, placed

    for name, result, infinities, placed in side_by_side(rank, scenes, device):
        mean.take(name, result)
        for subset, frame in placed.items():
            counts[subset].take(frame, name)
            infinite[subset] += infinities
    measured = [
        (name, r.n_in, r.n_ood, r.metrics.fpr, r.metrics.auroc, r.metrics.aupr, r.tpr)
        for name, r in mean.results.items()
    ]
    return measured, infinite


def rows_of_seed(
    scenes: Sequence[SceneRow],
    infinite: Mapping[str, int],
    counts: Mapping[str, PooledCounts],
    members: Mapping[str, Collection[str]],
    reporting: PixelReportingSpec,
) -> tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Estimate]]]:
    """Rows of one seed, its scenes, and the estimate behind each row; of what `count_scenes` found in all scenes."""
    per_scene = pd.DataFrame(scenes, columns=["id", "n_in", "n_out", *MEASURED])
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
        ids = members_of(manifest.rows, name)
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
        ids, scores = scene.train_ids, score_pixels(detector, scene, seed).numpy()
        yield str(scene.row["id"]), (scores, ids == ANOMALY, ids != VOID)


def _positive(
    detector: Detector,
    seed: int,
    positive_class: PositiveClass,
    device: torch.device,
    read: Callable[[], StoredScene],
) -> tuple[str, NDArray[Any]]:
    """A scene's id, and its scores of the positive class; strips without any are not scored."""
    scene = read()
    wanted = scene.train_ids == ANOMALY if positive_class == "ood" else scene.train_ids < ANOMALY
    picked = np.empty(0, np.float32)
    if wanted.any():
        picked = _here(_picked(score_pixels(detector, scene, seed, device, wanted), wanted))
    if np.isnan(picked).any():
        _both_classes(detector, scene, seed, positive_class, device)
    return str(scene.row["id"]), picked if positive_class == "ood" else -picked


def _both_classes(
    detector: Detector, scene: StoredScene, seed: int, positive_class: PositiveClass, device: torch.device
) -> tuple[NDArray[Any], Any]:
    """What `split_classes` gives of a scene; scores of the negative class stay on a GPU, as a tensor.

    Raises:
        ValueError: Scores that are not void are NaN; names detector and scene.
    """
    scores, ids = score_pixels(detector, scene, seed, device), scene.train_ids
    ood, in_dist = (_picked(scores, of) for of in (ids == ANOMALY, ids < ANOMALY))
    if any(bool((own != own).any()) for own in (ood, in_dist)):  # noqa: PLR0124 - NaN
        try:
            split_classes(_here(scores), ids == ANOMALY, ids != VOID, positive_class, str(scene.row["id"]))
        except NonFiniteScoreError as error:
            raise ValueError(f"detector {detector.name}: {error}") from error
    positive, negative = (ood, in_dist) if positive_class == "ood" else (-in_dist, -ood)
    return _here(positive), negative


def _picked(scores: torch.Tensor, of: NDArray[np.bool_]) -> Any:
    """Some of the scores: an array of those of a processor, a tensor of those of a GPU."""
    on_processor = scores.device.type == "cpu"
    return scores.numpy()[of] if on_processor else scores[torch.from_numpy(of).to(scores.device)]


def _here(scores: Any) -> NDArray[Any]:
    return np.asarray(scores.cpu() if isinstance(scores, torch.Tensor) else scores)


def members_of(manifest: pd.DataFrame, name: str) -> frozenset[str]:
    """Ids of all test scenes, or of those of a subset."""
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
