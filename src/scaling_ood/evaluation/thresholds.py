"""From which score on something is called an anomaly: chosen on in-distribution test images, never on OOD ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from scaling_ood.detectors import Detector
from scaling_ood.evaluation.scene_tables import frames
from scaling_ood.metrics.false_alarms import ScoreCounts, false_alarm_threshold, kept_below
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Scores
from scaling_ood.products.stored import StoredShards


def image_threshold(scores: Scores, rate: float) -> dict[str, Any]:
    """A threshold from the in-distribution test images, which no detector was fitted on.

    Returns:
        `threshold`, the chosen `false_alarm_rate`, the `images` behind it, `low` and `high` bounds of the rate at this
        very threshold, and `caught`: OOD set to the share of it above the threshold, which chose nothing.

    Raises:
        TooFewScoresError: There are too few of them for that rate.
    """
    by_set = scores.of(scores.seeds[0])
    found = false_alarm_threshold(by_set.pop("test").to_numpy(), rate)
    caught = {name: float((own > found.threshold).mean()) for name, own in by_set.items()}
    return {"false_alarm_rate": rate, **found._asdict(), "caught": caught}


def scene_threshold(detector: Detector, outputs: StoredShards, manifest: Manifest, rate: float) -> dict[str, Any]:
    """Two thresholds from the in-distribution pixels of the test scenes: of a pixel's score, and of a scene's share.

    A pixel is anomalous where its score exceeds `pixel_threshold`: at most that share of all in-distribution pixels of
    the test scenes does. A scene is called an anomaly where its share of anomalous pixels exceeds `threshold`, as at
    most that share of scenes does by its in-distribution pixels alone. Three passes over the scenes; one of them is in
    memory at a time.

    Returns:
        As `image_threshold`, of scenes, with `pixel_threshold` and `pixels`; `caught` holds the share of the anomalous
        `pixels`, and of the `scenes` that have some.

    Raises:
        TooFewScoresError: There are too few scenes for that rate.
    """
    seed = outputs.about["seeds"][0]
    counts = ScoreCounts()
    for _, (score, is_ood, valid) in frames(detector, outputs, manifest, seed):
        counts.add(score[valid & ~is_ood])
    order = kept_below(counts.total, rate)
    for _, (score, is_ood, valid) in frames(detector, outputs, manifest, seed):
        counts.refine(score[valid & ~is_ood], order)
    limit = counts.at(order)
    known, whole, caught, unseen = [], [], 0, 0
    for _, (score, is_ood, valid) in frames(detector, outputs, manifest, seed):
        above = score.astype(np.float32) > limit
        if (valid & ~is_ood).any():
            known.append(above[valid & ~is_ood].mean())
        if is_ood.any():
            whole.append(above[valid].mean())
            caught, unseen = caught + int(above[is_ood].sum()), unseen + int(is_ood.sum())
    found = false_alarm_threshold(known, rate)
    shares = {"pixels": caught / unseen, "scenes": float(np.mean(np.array(whole) > found.threshold))}
    pixels = {"pixel_threshold": limit, "pixels": counts.total}
    return {"false_alarm_rate": rate, **found._asdict(), **pixels, "caught": shares}
