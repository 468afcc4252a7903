"""How good a multi-label classifier itself is: average precision of each class, and their mean."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

AveragingRule = Literal["step", "trapezoid", "voc_2007"]
"""How precision is averaged over recall:

- `step`: sum of precision times the step in recall, scikit-learn's `average_precision_score`;
- `trapezoid`: area under the straight lines between the points, from precision 1 at recall 0 on, as in the paper's
  released code; the lines between the points are reached by no threshold;
- `voc_2007`: mean over the recalls 0, 0.1, ..., 1 of the highest precision at that recall or more (Everingham et al.
  2010, section 4.2).
"""

AVERAGING_RULES: tuple[AveragingRule, ...] = ("step", "trapezoid", "voc_2007")
"""Their names."""


class MeanAveragePrecision(NamedTuple):
    """Average precision over the classes.

    Attributes:
        mean: Over the classes that have an image, unweighted; in [0, 1].
        per_class: (C,) average precision; NaN for a class without an image.
        classes: How many classes have an image.
    """

    mean: float
    per_class: NDArray[np.float64]
    classes: int


def average_precision(score: ArrayLike, present: ArrayLike, rule: AveragingRule = "step") -> float:
    """Average precision of one class.

    Args:
        score: (N,), higher for what is more likely to show the class; logits and probabilities give the same.
        present: (N,) booleans, at least one of them true.
        rule: How precision is averaged over recall.

    Returns:
        In [0, 1].

    Raises:
        ValueError: No image shows the class, or the rule is unknown.

    >>> [round(average_precision([4, 3, 2, 1], [True, False, True, False], rule), 6) for rule in AVERAGING_RULES]
    [0.833333, 0.791667, 0.848485]
    """
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve

    shown = np.asarray(present, dtype=bool)
    if rule not in AVERAGING_RULES:
        raise ValueError(f"the averaging rule must be {' or '.join(map(repr, AVERAGING_RULES))}, not {rule!r}.")
    if not shown.any():
        raise ValueError("no image shows the class, so its average precision is not defined.")
    if rule == "step":
        return float(average_precision_score(shown, score))
    precision, recall, _ = precision_recall_curve(shown, score)
    if rule == "trapezoid":
        return float(auc(recall, precision))
    # The last point, precision 1 at recall 0, is scikit-learn's convention, and no threshold's.
    points = precision[:-1], recall[:-1]
    # As many images over all images, not 0.1 times something: a recall of 3 / 10 must reach the level 0.3.
    levels = np.arange(11) * shown.sum()
    found = np.rint(points[1] * shown.sum()) * 10
    return float(np.mean([points[0][found >= level].max() for level in levels]))


def mean_average_precision(scores: ArrayLike, present: ArrayLike, rule: AveragingRule = "step") -> MeanAveragePrecision:
    """Average precision of each class, and its mean over the classes that have an image.

    Args:
        scores: (N, C), such as logits.
        present: (N, C), 0 or 1 or boolean: whether the image shows the class.
        rule: How precision is averaged over recall.

    Raises:
        ValueError: Other shapes or values, scores that are not finite, or no class has an image.
    """
    wanted, truth = np.asarray(scores, dtype=np.float64), np.asarray(present)
    if wanted.ndim != 2 or wanted.shape != truth.shape:  # noqa: PLR2004
        raise ValueError(f"scores and present must both be (N, C), got {wanted.shape} and {truth.shape}.")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"present must be 0 or 1, got also {np.setdiff1d(truth, (0, 1))[:5].tolist()}.")
    finite = int(np.isfinite(wanted).all(axis=1).sum())
    if finite < len(wanted):
        raise ValueError(f"the scores of {len(wanted) - finite:,} of {len(wanted):,} images are not finite.")
    shown = truth.astype(bool)
    counted = np.flatnonzero(shown.any(axis=0))
    if not counted.size:
        raise ValueError("no image shows any class, so average precision is not defined.")
    per_class = np.full(wanted.shape[1], np.nan)
    for column in counted:
        per_class[column] = average_precision(wanted[:, column], shown[:, column], rule)
    return MeanAveragePrecision(float(per_class[counted].mean()), per_class, counted.size)
