"""Ranking metrics of the pixels of one image, and their mean over images, as the paper reports them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_ood.metrics.ranking import (
    DetectionMetrics,
    FprRule,
    NonFiniteScoreError,
    RankCounts,
    check_types,
    count_above,
    distinct_scores,
    widened,
)
from scaling_ood.wording import check_choice

PositiveClass = Literal["ood", "in_dist"]
"""Which class AUPR and FPR speak of. With `"in_dist"`, scores are negated and the classes change places."""


class NothingToAverageError(ValueError):
    """No image has both in-distribution and OOD pixels, so a mean over images is not defined."""


class ImageResult(NamedTuple):
    """One image's metrics and its number of pixels of either class; the last is `tpr_at_fpr`, 5 % by default."""

    metrics: DetectionMetrics
    n_in: int
    n_ood: int
    tpr: float


def image_metrics(
    score: ArrayLike,
    is_ood: ArrayLike,
    valid: ArrayLike,
    *,
    image: str = "",
    positive_class: PositiveClass = "ood",
    recall: float = 0.95,
    fpr_rule: FprRule = "nearest",
) -> DetectionMetrics | None:
    """AUROC, AUPR and FPR of the pixels of one image.

    Args:
        score: (H, W) anomaly scores, higher = more anomalous; floating point.
        is_ood: (H, W) booleans: the pixel shows an anomaly.
        valid: (H, W) booleans: False where the pixel belongs to neither class (void). Scores and labels there are
            not looked at.
        image: Its name, for errors.
        positive_class: `"ood"` or `"in_dist"`.
        recall: The wanted recall of the positive class, in (0, 1].
        fpr_rule: See `detection_metrics`.

    Returns:
        Fractions between 0 and 1, or None where one class has no pixel.

    Raises:
        NonFiniteScoreError: Valid scores are NaN; names the image and the flat index of the first.
        TypeError: The scores are not floating point, or a mask is not boolean.
        ValueError: The shapes differ, or an option is out of its range.

    >>> score = np.array([[0.1, 0.9], [0.2, 0.7]])
    >>> is_ood = np.array([[False, False], [False, True]])
    >>> image_metrics(score, is_ood, np.array([[True, True], [True, True]])).auroc
    0.6666666666666666
    >>> image_metrics(score, is_ood, np.array([[True, False], [True, True]])).auroc
    1.0
    """
    counts = _counts(*split_classes(score, is_ood, valid, positive_class, image))
    return None if counts is None else metrics_of(counts, recall, fpr_rule)


class PerImageMean:
    """Mean over images, as the paper reports pixels; images without both classes are named and left out.

    Holds a few numbers per image, no pixels.

    Attributes:
        results: Image to its metrics and counts, in the order of adding.
        skipped: Image to the reason why it has no metrics.
    """

    def __init__(
        self, positive_class: PositiveClass = "ood", recall: float = 0.95, fpr_rule: FprRule = "nearest"
    ) -> None:
        """Options as in `image_metrics`."""
        self.positive_class, self.recall, self.fpr_rule = positive_class, recall, fpr_rule
        self.results: dict[str, ImageResult] = {}
        self.skipped: dict[str, str] = {}

    def add(self, image: str, score: ArrayLike, is_ood: ArrayLike, valid: ArrayLike) -> DetectionMetrics | None:
        """Measure one image; arguments, result and errors as in `image_metrics`.

        Raises:
            ValueError: The image was added before.
        """
        result = self.measure(*split_classes(score, is_ood, valid, self.positive_class, image))
        self.take(image, result)
        return result.metrics if isinstance(result, ImageResult) else None

    def measure(self, positive: NDArray[Any], negative: Any, counts: RankCounts | None = None) -> ImageResult | str:
        """What `take` takes, of the scores that `split_classes` gave: a result, or why there is none.

        `counts` of these scores, where somebody counted them already; see `PooledCounts.place`.
        """
        counts = counts or _counts(positive, negative)
        mirrored = self.positive_class == "in_dist"
        n_in, n_ood = (len(positive), len(negative)) if mirrored else (len(negative), len(positive))
        if counts is None:
            return "no OOD pixel" if n_in else "only OOD pixels" if n_ood else "only void"
        return ImageResult(
            metrics_of(counts, self.recall, self.fpr_rule), n_in, n_ood, float(counts.tpr(mirrored=mirrored))
        )

    def take(self, image: str, result: ImageResult | str) -> None:
        """Hold what was measured in one image.

        Raises:
            ValueError: The image was added before.
        """
        self._refuse_known(image)
        if isinstance(result, ImageResult):
            self.results[image] = result
        else:
            self.skipped[image] = result

    def merge(self, other: PerImageMean) -> None:
        """Take over the images of another process.

        Raises:
            ValueError: An image is in both, or the options differ.
        """
        mine, theirs = ((part.positive_class, part.recall, part.fpr_rule) for part in (self, other))
        if mine != theirs:
            raise ValueError(f"Means under different options cannot be merged: {mine} and {theirs}.")
        for image in (*other.results, *other.skipped):
            self._refuse_known(image)
        self.results |= other.results
        self.skipped |= other.skipped

    @property
    def values(self) -> NDArray[np.float64]:
        """AUROC, AUPR and FPR of every measured image, `(n_images, 3)`: what to resample for an interval."""
        return np.array([result.metrics for result in self.results.values()], dtype=np.float64).reshape(-1, 3)

    def base_rate(self) -> float:
        """Share of the positive class, averaged over the measured images as the metrics are."""
        self._refuse_none()
        shares = [one.n_ood / (one.n_in + one.n_ood) for one in self.results.values()]
        rate = float(np.mean(shares))
        return rate if self.positive_class == "ood" else 1 - rate

    def mean(self) -> DetectionMetrics:
        """Unweighted mean over the measured images.

        Raises:
            NothingToAverageError: There is none; says why the others were skipped.
        """
        self._refuse_none()
        return DetectionMetrics(*self.values.mean(axis=0).tolist())

    def _refuse_none(self) -> None:
        if not self.results:
            reasons = ", ".join(f"{count} with {reason}" for reason, count in Counter(self.skipped.values()).items())
            raise NothingToAverageError(
                f"None of {len(self.skipped)} images has both in-distribution and OOD pixels ({reasons or 'no image'})."
            )

    def _refuse_known(self, image: str) -> None:
        if image in self.results or image in self.skipped:
            raise ValueError(f"Image {image} was measured before; it would count twice.")


def split_classes(
    score: ArrayLike, is_ood: ArrayLike, valid: ArrayLike, positive_class: PositiveClass, image: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores of the positive and of the negative class, flat, the positive ranking higher; or what is wrong."""
    check_choice("positive_class", positive_class, get_args(PositiveClass))
    values, mask, used = np.asarray(score), np.asarray(is_ood), np.asarray(valid)
    where = f" (image {image})" if image else ""
    if not values.shape == mask.shape == used.shape:
        shapes = f"{values.shape}, {mask.shape} and {used.shape}"
        raise ValueError(f"score, is_ood and valid must have the same shape, got {shapes}{where}.")
    check_types(values, mask)
    if not np.issubdtype(values.dtype, np.floating) or used.dtype != np.bool_:
        raise TypeError(f"Scores must be floating point and valid boolean, got {values.dtype}, {used.dtype}{where}.")
    missing = np.isnan(values) & used
    if missing.any():
        owner = f"image {image}" if image else ""
        raise NonFiniteScoreError(int(missing.sum()), int(used.sum()), int(np.argmax(missing)), owner)
    ood, in_dist = widened(values[mask & used]), widened(values[~mask & used])
    return (ood, in_dist) if positive_class == "ood" else (-in_dist, -ood)


def _counts(positive: NDArray[Any], negative: Any) -> RankCounts | None:
    """What the metrics of two groups of scores follow from, or None where one is empty."""
    if not (len(positive) and len(negative)):
        return None
    thresholds, positive_at = distinct_scores(positive)
    return RankCounts(len(negative), positive_at, *count_above(negative, thresholds))


def metrics_of(counts: RankCounts, recall: float, fpr_rule: FprRule) -> DetectionMetrics:
    """All three metrics of some counts."""
    return DetectionMetrics(float(counts.auroc()), float(counts.aupr()), float(counts.fpr(recall, fpr_rule)))
