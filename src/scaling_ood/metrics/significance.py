"""Is one detector better than another, or is it the choice of test images, or of training seeds?

Detectors are compared on the identical images, so the comparison is paired: what makes an image hard for both cancels
out. Pixels of one image are not independent: give one score per image, or the values of scenes, never pixel scores.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

from scaling_ood.metrics.estimates import Estimate, detection_estimates, variance_and_df
from scaling_ood.metrics.ranking import (
    FprRule,
    OneClassError,
    RankCounts,
    check_no_nan,
    check_types,
    distinct_scores,
    widened,
)
from scaling_ood.wording import check_choice

MetricName = Literal["auroc", "aupr", "fpr"]
"""A field of `DetectionMetrics`."""

_BLOCK = 1 << 21
_FEWEST_IMAGES = 2
_DUST = 1e-12


class TooFewImagesError(ValueError):
    """One class has a single image, so no variance can be estimated."""


def delong_covariance(scores: ArrayLike, is_ood: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AUROC of several detectors on the same images, with the covariance of these estimates.

    The AUROC is the mean of the *placements*: for each OOD image the share of in-distribution images that it outranks,
    ties counting half, or, for each in-distribution image, the share of OOD images that outrank it. The covariance is
    the sum of the two covariances of placements, each divided by its number of images. Sun and Xu read the placements
    off midranks in O(n log n); here the same numbers come from binary searches at the same cost.

    Args:
        scores: Anomaly scores, higher = more anomalous, shape `(D, N)`: detectors by images.
        is_ood: Booleans, shape `(N,)`.

    Returns:
        AUROC `(D,)` in [0, 1] and the covariance `(D, D)`. The covariance is 0 for a detector that separates the
        classes perfectly, or whose scores are constant: the estimate is then no proof of certainty.

    Raises:
        TooFewImagesError: A class has fewer than two images.
        OneClassError: A class has no image.
        NonFiniteScoreError: Some scores are NaN.
        TypeError: The scores are not real numbers or `is_ood` is not boolean.
        ValueError: The shapes do not fit.

    Examples:
        >>> is_ood = np.array([False, False, False, True, True])
        >>> auroc, covariance = delong_covariance([[1, 2, 4, 3, 5], [1, 5, 2, 4, 3]], is_ood)
        >>> auroc.round(4).tolist()
        [0.8333, 0.6667]
        >>> covariance.round(4).tolist()
        [[0.0556, -0.0278], [-0.0278, 0.1111]]

    Source:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837-845; Sun and Xu, IEEE Signal Processing Letters 21
        (2014) 1389-1393.
    """
    of_ood, of_in = _placements(*_checked(scores, is_ood))
    return of_ood.mean(axis=1), _covariance(of_ood) + _covariance(of_in)


def bootstrap_replicates(
    scores: ArrayLike,
    is_ood: ArrayLike,
    metric: MetricName,
    *,
    n_replicates: int = 1000,
    seed: int = 0,
    recall: float = 0.95,
    fpr_rule: FprRule = "nearest",
) -> NDArray[np.float64]:
    """One metric of several detectors on resampled sets of images: a paired, stratified bootstrap.

    Each replicate draws as many in-distribution images, and as many OOD images, as there are, with replacement, so
    that the base rate stays. All detectors see the same draw. A replicate is held as the number of times each image
    was drawn; every detector's images are sorted once, and the counts behind the metric are sums of these
    multiplicities in that order. The result is the metric of the resampled scores, exactly, without sorting again.

    Args:
        scores: Anomaly scores, higher = more anomalous, shape `(D, N)`: detectors by images.
        is_ood: Booleans, shape `(N,)`.
        metric: `"auroc"`, `"aupr"` or `"fpr"`.
        n_replicates: Number of resampled sets, at least 1.
        seed: Seed of the draws; the same seed and images give the same draws for any detectors.
        recall: Recall of `"fpr"`, in (0, 1].
        fpr_rule: Rule of `"fpr"`; see `detection_metrics`.

    Returns:
        Fractions, shape `(D, n_replicates)`; a column is one draw.

    Raises:
        OneClassError: A class has no image.
        NonFiniteScoreError: Some scores are NaN.
        TypeError: The scores are not real numbers or `is_ood` is not boolean.
        ValueError: The shapes do not fit, a name is unknown or a number is out of range.

    Examples:
        >>> is_ood = np.arange(8) >= 5
        >>> replicates = bootstrap_replicates([[1, 2, 3, 4, 7, 5, 6, 8]], is_ood, "auroc", n_replicates=4)
        >>> replicates.shape, bool((replicates <= 1).all())
        ((1, 4), True)

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 8 and 13.
    """
    check_choice("metric", metric, get_args(MetricName))
    if n_replicates < 1:
        raise ValueError(f"n_replicates must be at least 1, got {n_replicates}.")
    values, mask = _checked(scores, is_ood)
    detectors = [_Ranked.from_scores(row[~mask], row[mask]) for row in values]
    n_ood = int(np.count_nonzero(mask))
    replicates = np.empty((len(detectors), n_replicates))
    start = 0
    for drawn_in, drawn_ood in _draws(mask.size - n_ood, n_ood, n_replicates, seed):
        stop = start + len(drawn_in)
        for row, ranked in zip(replicates, detectors, strict=True):
            counts = ranked.recount(drawn_in, drawn_ood)
            row[start:stop] = _value(counts, metric, recall, fpr_rule)
        start = stop
    return replicates


def tied_with_best(
    scores: ArrayLike,
    is_ood: ArrayLike,
    metric: MetricName = "auroc",
    *,
    level: float = 0.05,
    recall: float = 0.95,
    fpr_rule: FprRule = "nearest",
) -> NDArray[np.bool_]:
    """Which detectors cannot be told from the best one on these images, however many there are.

    See `tied_estimates` for the test. The value of a detector is its mean over the seeds.

    Args:
        scores: Anomaly scores, higher = more anomalous, shape `(D, N)`: detectors by images, D >= 1; or `(S, D, N)`:
            seeds by detectors by images.
        is_ood: Booleans, shape `(N,)`.
        metric: `"auroc"`, `"aupr"` or `"fpr"`.
        level: Chance that any of several equally good detectors is called worse than the best, in (0, 1).
        recall: Recall of `"fpr"`, in (0, 1].
        fpr_rule: Rule of `"fpr"`; see `detection_metrics`.

    Returns:
        Booleans, shape `(D,)`; at least one is True.

    Raises:
        TooFewImagesError: A class has fewer than two images.
        OneClassError: A class has no image.
        NonFiniteScoreError: Some scores are NaN.
        TypeError: The scores are not real numbers or `is_ood` is not boolean.
        ValueError: The shapes do not fit, a name is unknown or a number is out of range.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> is_ood = np.arange(600) >= 400
        >>> good = rng.normal(size=600) + 2 * is_ood
        >>> scores = np.stack([good, good + 0.1 * rng.normal(size=600), rng.normal(size=600) + is_ood])
        >>> tied_with_best(scores, is_ood).tolist(), tied_with_best(scores, is_ood, "fpr").tolist()
        ([True, True, False], [True, True, False])
    """
    check_choice("metric", metric, get_args(MetricName))
    stacked = np.asarray(scores)
    by_seed = stacked if stacked.ndim == 3 else stacked[None]  # noqa: PLR2004 - seeds, detectors, images
    if not len(by_seed):
        raise ValueError("scores must have at least one seed.")
    estimates = []
    for seed in by_seed:
        values, mask = _checked(seed, is_ood)
        _refuse_few(mask)
        rows = (detection_estimates(row, mask, recall, fpr_rule) for row in values)
        estimates.append([getattr(row, metric) for row in rows])
    return tied_estimates(list(zip(*estimates, strict=True)), lower_is_better=metric == "fpr", level=level)


def tied_estimates(
    by_detector: Sequence[Sequence[Estimate]],
    *,
    lower_is_better: bool = False,
    level: float = 0.05,
    n_replicates: int = 5000,
) -> NDArray[np.bool_]:
    """Which detectors cannot be told from the best one, from estimates on the same images.

    The best has the highest mean over its seeds (or the lowest); of equals, the first. It is the best *of these
    estimates*, so with many equally good detectors it is the luckiest, and a test of one pair at a time would take the
    mark from some other in most tables. Therefore the difference of each to the best must exceed what the largest of
    *all* paired differences, each over its standard error, exceeds with the chance `level` if all are equal (Tukey's
    range, here with the correlations of these detectors: joint normal draws with their covariance). This holds for
    whichever detectors are equal, so no detector as good as the best loses its mark because of a worse one. Hsu's
    one-sided bounds would be narrower, but they only keep the mark of a given best detector, and with seventeen equals
    one of them would still lose it most of the time.

    A difference may reach the square root of the sum of two squares: that of the images, from the variance of the
    difference of the contributions, and that of training, from what detectors differ by from seed to seed. Three seeds
    of a pair tell little, so the seeds of all D detectors are taken together, with (D - 1)(S - 1) degrees of freedom; a
    pair that varies more counts by itself. How well each variance is known enters by Student's quantile, as in
    `metric_intervals`. Near 0 and 1 the best value looks surer than it is: a detector loses its mark only if its
    difference is significant with the standard errors as they are, and with those of two equal values midway.

    Defined edges: the best is tied with itself, and so is every detector with exactly its value. Where a difference
    does not vary at all (a perfect and an inverted detector), only equal values tie.

    Args:
        by_detector: For each of D detectors the estimates of its S seeds, all on the same images.
        lower_is_better: For FPR.
        level: Chance that any of several equally good detectors is called worse, in (0, 1).
        n_replicates: Number of joint normal draws, at least 1; they are the same in every call.

    Returns:
        Booleans, shape `(D,)`; at least one is True.

    Examples:
        >>> from scaling_ood.metrics import mean_over_scenes
        >>> rng = np.random.default_rng(0)
        >>> good = rng.uniform(0.8, 0.9, 40)
        >>> scenes = [good, good + rng.uniform(-0.02, 0.02, 40), good - rng.uniform(0, 0.1, 40)]
        >>> tied_estimates([[mean_over_scenes(values)] for values in scenes]).tolist()
        [True, True, False]

    Source:
        Hothorn, Bretz and Westfall, "Simultaneous inference in general parametric models", Biometrical Journal 50
        (2008) 346-363; Hsu, "Multiple Comparisons" (1996), chapters 4 and 5.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}.")
    if n_replicates < 1:
        raise ValueError(f"n_replicates must be at least 1, got {n_replicates}.")
    values = np.array([[one.value for one in seeds] for seeds in by_detector])
    mean = values.mean(axis=1)
    best = int(mean.argmin() if lower_is_better else mean.argmax())
    if not (mean != mean[best]).any():
        return np.ones(len(mean), dtype=bool)
    parts = [
        np.stack([[one.parts[name] for one in seeds] for seeds in by_detector]).mean(axis=1)
        for name in by_detector[0][0].parts
    ]
    grain = np.array([[one.grain for one in seeds] for seeds in by_detector]).mean(axis=1) / values.shape[1]
    largest = partial(_largest_difference, level=level, n_replicates=n_replicates)
    return np.asarray(_tied(values, parts, grain, best, largest) | (mean == mean[best]))


def _tied(
    values: NDArray[np.float64],
    parts: Sequence[NDArray[np.float64]],
    grain: NDArray[np.float64],
    best: int,
    largest: Callable[[NDArray[np.float64]], float],
) -> NDArray[np.bool_]:
    """Which of D detectors `(D, S)` cannot be told from the best, given the contributions of each group `(D, n)`."""
    count, seeds = values.shape
    mean = values.mean(axis=1)
    trained, df = 0.0, 1
    if seeds > 1:
        residual = values - mean[:, None] - values.mean(axis=0) + mean.mean()
        df = (count - 1) * (seeds - 1)
        trained = float((residual**2).sum()) / df / seeds
    joint = np.diag(grain + trained) + sum(part @ part.T * part.shape[1] / (part.shape[1] - 1) for part in parts)
    chance = float(ndtr(-largest(joint)))
    tied = np.ones(count, dtype=bool)
    edge = 0.5 / sum(part.shape[1] for part in parts)
    for detector in range(count):
        pair = [detector, best]
        training = 0.0
        if seeds > 1:
            own = float((values[detector] - values[best]).var(ddof=1)) / seeds
            training = float(stdtrit(df, 1 - chance)) ** 2 * max(2 * trained, own)
        reach = 0.0
        for scale in (np.ones(2), _if_equal(mean[pair], edge)):
            moved = [part[pair] * scale[:, None] for part in parts]
            image, image_df = variance_and_df([one - other for one, other in moved])
            if image > 0 and detector != best:
                image += float(grain[pair] @ scale**2)
            reach = max(reach, float(stdtrit(image_df, 1 - chance)) ** 2 * image + training)
        tied[detector] = (mean[detector] - mean[best]) ** 2 <= reach
    return tied


def _if_equal(pair: NDArray[np.float64], edge: float) -> NDArray[np.float64]:
    """By what the standard errors of two values change, `(2,)`, if both are midway between them on the logit scale.

    As in a score test: the standard error of a share p goes with the root of p (1 - p).
    """
    clipped = np.clip(pair, edge, 1 - edge)
    odds = float(np.sqrt(np.prod(clipped / (1 - clipped))))
    common = odds / (1 + odds)
    return np.asarray(np.sqrt(common * (1 - common) / (clipped * (1 - clipped))))


def _largest_difference(joint: NDArray[np.float64], level: float, n_replicates: int) -> float:
    """What the largest of all paired differences, over its standard error, exceeds with the chance `level`."""
    size = len(joint)
    first, second = np.triu_indices(size, 1)
    variance = joint[first, first] + joint[second, second] - 2 * joint[first, second]
    differ = variance > _DUST * np.trace(joint)
    if not differ.any():
        return float(-ndtri(level / 2))
    share, axes = np.linalg.eigh(joint)
    draws = np.random.default_rng(0).normal(size=(n_replicates, size)) @ (axes * np.sqrt(np.maximum(share, 0))).T
    largest = np.zeros(n_replicates)
    for one, other, spread in zip(first[differ], second[differ], np.sqrt(variance[differ]), strict=True):
        np.maximum(largest, np.abs(draws[:, one] - draws[:, other]) / spread, out=largest)
    return float(np.quantile(largest, 1 - level))


@dataclass(frozen=True, slots=True)
class _Ranked:
    """One detector's images in the order of their scores, ready to be counted with any multiplicities."""

    order_in: NDArray[np.intp]
    """In-distribution images by ascending score, shape `(n_in,)`."""
    order_ood: NDArray[np.intp]
    """OOD images by ascending score, shape `(n_ood,)`."""
    starts: NDArray[np.intp]
    """Where each distinct OOD score starts in `order_ood`, shape `(K,)`."""
    below: NDArray[np.intp]
    """In-distribution images below each distinct OOD score, shape `(K,)`."""
    not_above: NDArray[np.intp]
    """In-distribution images below it or equal, shape `(K,)`."""

    @classmethod
    def from_scores(cls, in_dist: NDArray[Any], ood: NDArray[Any]) -> "_Ranked":
        """Sort both classes once."""
        order_in = np.argsort(in_dist)
        ordered = in_dist[order_in]
        thresholds, ood_at = distinct_scores(ood)
        return cls(
            order_in,
            np.argsort(ood),
            np.cumsum(ood_at) - ood_at,
            np.searchsorted(ordered, thresholds, "left"),
            np.searchsorted(ordered, thresholds, "right"),
        )

    def recount(self, drawn_in: NDArray[np.int32], drawn_ood: NDArray[np.int32]) -> RankCounts:
        """Counts of B replicates, given how often each image was drawn: `(B, n_in)` and `(B, n_ood)`."""
        n_in = self.order_in.size
        passed = np.zeros((len(drawn_in), n_in + 1), dtype=np.int64)
        np.cumsum(drawn_in[:, self.order_in], axis=1, out=passed[:, 1:])
        ood_at = np.add.reduceat(drawn_ood[:, self.order_ood], self.starts, axis=1, dtype=np.int64)
        return RankCounts(n_in, ood_at, n_in - passed[:, self.not_above], n_in - passed[:, self.below])


def _draws(
    n_in: int, n_ood: int, n_replicates: int, seed: int
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Multiplicities of the images in blocks of replicates, `(B, n_in)` and `(B, n_ood)`, in bounded memory."""
    rng = np.random.default_rng(seed)
    per_block = max(1, _BLOCK // (n_in + n_ood))
    for start in range(0, n_replicates, per_block):
        size = min(per_block, n_replicates - start)
        drawn_in, drawn_ood = np.empty((size, n_in), np.int32), np.empty((size, n_ood), np.int32)
        for row_in, row_ood in zip(drawn_in, drawn_ood, strict=True):
            row_in[:] = np.bincount(rng.integers(n_in, size=n_in), minlength=n_in)
            row_ood[:] = np.bincount(rng.integers(n_ood, size=n_ood), minlength=n_ood)
        yield drawn_in, drawn_ood


def _value(counts: RankCounts, metric: MetricName, recall: float, fpr_rule: FprRule) -> NDArray[np.float64]:
    """The named metric of some counts."""
    if metric == "auroc":
        return counts.auroc()
    return counts.aupr() if metric == "aupr" else counts.fpr(recall, fpr_rule)


def _placements(scores: NDArray[Any], is_ood: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Placements of the OOD images `(D, n_ood)` and of the in-distribution images `(D, n_in)`; each mean is the AUROC.

    Raises:
        TooFewImagesError: A class has fewer than two images.
    """
    _refuse_few(is_ood)
    of_ood = [_share_below(row[is_ood], row[~is_ood]) for row in scores]
    of_in = [1 - _share_below(row[~is_ood], row[is_ood]) for row in scores]
    return np.stack(of_ood), np.stack(of_in)


def _share_below(values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Share of the others below each value, ties counting half, shape `(n_values,)`."""
    ordered = np.sort(others)
    doubled = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return doubled / (2 * ordered.size)


def _covariance(placements: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance `(D, D)` of the detectors' mean placements `(D, n)`."""
    n = placements.shape[1]
    centred = placements - placements.mean(axis=1, keepdims=True)
    return np.asarray(centred @ centred.T / ((n - 1) * n))


def _refuse_few(is_ood: NDArray[np.bool_]) -> None:
    """Refuse a class of one image with `TooFewImagesError`."""
    n_ood = int(np.count_nonzero(is_ood))
    n_in = is_ood.size - n_ood
    if min(n_in, n_ood) < _FEWEST_IMAGES:
        raise TooFewImagesError(
            f"A variance needs at least {_FEWEST_IMAGES} images of each class, but there are {n_in} in-distribution "
            f"and {n_ood} OOD images."
        )


def _checked(scores: ArrayLike, is_ood: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Scores `(D, N)` without NaN and a mask `(N,)` with both classes, or the error that says what is wrong."""
    values, mask = np.asarray(scores), np.asarray(is_ood)
    if values.ndim != 2 or not len(values) or values.shape[1:] != mask.shape:  # noqa: PLR2004 - detectors by images
        raise ValueError(f"scores must be (D, N) and is_ood (N,) with D >= 1, got {values.shape} and {mask.shape}.")
    check_types(values, mask)
    n_ood = int(np.count_nonzero(mask))
    if n_ood in (0, mask.size):
        raise OneClassError(mask.size - n_ood, n_ood)
    for detector, row in enumerate(values):
        check_no_nan(row, f"detector {detector}")
    return widened(values), mask
