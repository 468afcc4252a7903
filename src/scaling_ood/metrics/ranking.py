"""Exact ranking metrics of an anomaly score: AUROC, AUPR and the false-positive rate at a recall.

All three change only where an OOD score lies, so they follow from two counts per distinct OOD score: the
in-distribution scores above it, and those above or equal. Small sets are sorted without their indices, and the few OOD
scores are looked up in them; of large ones each score's place among the OOD scores is found (`places`). A generic
implementation sorts the indices of everything, once per metric. The counts of two disjoint sets of in-distribution
scores add up, so a set that does not fit in memory can be counted part by part against the same thresholds.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_ood.metrics.places import Places
from scaling_ood.wording import check_choice

FprRule = Literal["nearest", "first"]
"""Which threshold "at recall 0.95" means; see `RankCounts.fpr`."""

FALSE_ALARMS = 0.05
"""Share of in-distribution scores that may be flagged, where nothing else is said; see `tpr_at_fpr`."""

# Fewer values are sorted in less time than a table is made.
_MANY = 1 << 17
_FEWEST_POINTS = 2


class OneClassError(ValueError):
    """There are no OOD scores, or no in-distribution scores, so no ranking metric is defined.

    Attributes:
        n_in: Number of in-distribution scores.
        n_ood: Number of OOD scores.
    """

    def __init__(self, n_in: int, n_ood: int) -> None:
        """Keep the two counts, so that a caller can tell an image without anomalies from an empty one."""
        super().__init__(
            f"Ranking metrics need both classes, but there are {n_in} in-distribution and {n_ood} OOD scores."
        )
        self.n_in = n_in
        self.n_ood = n_ood


class NonFiniteScoreError(ValueError):
    """Some scores are NaN, which has no rank. Infinite scores are no error: they rank first or last, and tie.

    Attributes:
        n_nan: Number of NaN scores.
        n_scores: Number of all scores.
    """

    def __init__(self, n_nan: int, n_scores: int, first: int, owner: str = "") -> None:
        """Keep the counts; `first` is the flat index of the first NaN, `owner` the detector, if known."""
        whose = f" of {owner}" if owner else ""
        super().__init__(f"{n_nan} of {n_scores} scores{whose} are NaN (the first at index {first}); NaN has no rank.")
        self.n_nan = n_nan
        self.n_scores = n_scores


class DetectionMetrics(NamedTuple):
    """The three metrics of the paper, as fractions between 0 and 1."""

    auroc: float
    """Probability that an OOD score exceeds an in-distribution score, ties counting half. Higher is better."""
    aupr: float
    """Area under precision and recall as step-wise average precision. Higher is better; chance is the base rate."""
    fpr: float
    """Share of in-distribution scores flagged at the chosen recall of OOD scores. Lower is better."""


class RocCurve(NamedTuple):
    """Points of a ROC curve from (0, 0) to (1, 1), both coordinates non-decreasing, shape `(n_points,)` each."""

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankCounts:
    """All that the metrics need to know: counts at each of the K distinct OOD scores, in ascending order.

    Leading axes are allowed (bootstrap replicates, say); every metric then has their shape. A threshold may have
    `ood_at` 0 in some of them: it is treated as absent there.
    """

    n_in: int
    """Number of in-distribution scores, the same along all leading axes."""
    ood_at: NDArray[np.int64]
    """OOD scores equal to the threshold, shape `(..., K)`. Their sum, at least 1, must not vary."""
    in_above: NDArray[np.int64]
    """In-distribution scores greater than the threshold, shape `(..., K)`."""
    in_at_least: NDArray[np.int64]
    """In-distribution scores greater than or equal to the threshold, shape `(..., K)`."""

    @classmethod
    def from_scores(cls, score: ArrayLike, is_ood: ArrayLike) -> "RankCounts":
        """Count the scores of one set; arguments and errors are those of `detection_metrics`."""
        values, mask = _checked(score, is_ood)
        ood, in_dist = values[mask], values[~mask]
        if not ood.size or not in_dist.size:
            raise OneClassError(in_dist.size, ood.size)
        thresholds, ood_at = distinct_scores(ood)
        in_above, in_at_least = count_above(in_dist, thresholds)
        return cls(in_dist.size, ood_at, in_above, in_at_least)

    @property
    def n_ood(self) -> int:
        """Number of OOD scores."""
        return int(self.ood_at.reshape(-1, self.ood_at.shape[-1])[0].sum())

    @property
    def ood_at_least(self) -> NDArray[np.int64]:
        """OOD scores greater than or equal to each threshold, shape `(..., K)`: the true positives."""
        at_least: NDArray[np.int64] = np.cumsum(self.ood_at[..., ::-1], axis=-1)[..., ::-1]
        return at_least

    def auroc(self) -> NDArray[np.float64]:
        """Area under the ROC curve, ties counting half, shape `(...)`; the sum of pairs is kept in integers."""
        doubled = (self.ood_at * (2 * self.n_in - self.in_above - self.in_at_least)).sum(axis=-1)
        return np.asarray(doubled / (2 * self.n_in * self.n_ood))

    def aupr(self) -> NDArray[np.float64]:
        """Step-wise average precision, shape `(...)`: the precision at each threshold, weighted by its recall step."""
        true = self.ood_at_least
        # The maximum matters only above the highest present OOD score, where the weight is 0 as well.
        precision = true / np.maximum(true + self.in_at_least, 1)
        return np.asarray((self.ood_at * precision).sum(axis=-1) / self.n_ood)

    def fpr(self, recall: float = 0.95, rule: FprRule = "nearest") -> NDArray[np.float64]:
        """False-positive rate at a recall, shape `(...)`.

        A threshold t flags every score >= t. Every distinct score, of either class, is a candidate for t.

        Args:
            recall: The wanted share of flagged OOD scores, in (0, 1].
            rule: `"nearest"` is the reference code of the paper: the candidate whose recall is nearest to the wanted
                one, above or below; of several with that recall, the one that flags most. With 10 OOD scores, 0.95
                means 0.9. At recall 1 it goes no lower than the lowest OOD score. `"first"` is the common rule
                elsewhere: the highest candidate whose recall is at least the wanted one. It is
                `fpr[argmax(tpr >= recall)]` on scikit-learn's `roc_curve` with `drop_intermediate=False`.

        Raises:
            ValueError: The recall is outside (0, 1] or the rule is unknown.
        """
        _check_operating_point(recall, rule)
        flagged, chosen = self._candidates(recall, rule)
        return np.asarray(np.take_along_axis(flagged, chosen[..., None], axis=-1)[..., 0] / self.n_in)

    def tpr(self, rate: float = FALSE_ALARMS, *, mirrored: bool = False) -> NDArray[np.float64]:
        """Share of the OOD scores that are caught with at most that share of false alarms, shape `(...)`.

        Args:
            rate: See `tpr_at_fpr`.
            mirrored: Whether in-distribution is the positive class here, scores being negated: `n_in` and the counts of
                "in-distribution" scores are then those of OOD ones.
        """
        if mirrored:
            # The lowest score that may not be flagged any more: what is OOD and no higher is missed.
            alarms = np.cumsum(self.ood_at, axis=-1) / self.n_ood
            missed = np.where(alarms > rate, self.in_at_least, 0).max(axis=-1)
            return np.asarray((self.n_in - missed) / self.n_in)
        allowed = self.in_at_least / self.n_in <= rate
        return np.asarray(np.where(allowed, self.ood_at_least, 0).max(axis=-1) / self.n_ood)

    def cut(self, recall: float, rule: FprRule = "nearest") -> NDArray[np.intp]:
        """Place of the threshold of `fpr`, shape `(...)`: 2 k + 1 at OOD score k, 2 k just above OOD score k - 1."""
        flagged, chosen = self._candidates(recall, rule)
        at_score = flagged.shape == self.in_at_least.shape
        return np.asarray(np.where(at_score | (chosen == 0), 2 * chosen + 1, 2 * chosen))

    def _candidates(self, recall: float, rule: FprRule) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """False positives at each candidate of a rule, and the index of the chosen one `(...)`."""
        reached = self.ood_at_least / self.n_ood
        if rule == "first":
            return self.in_at_least, np.asarray(np.count_nonzero(reached >= recall, axis=-1) - 1)
        return self._nearest(reached, recall)

    def _nearest(self, reached: NDArray[np.float64], recall: float) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """False positives `(..., K + 1)` at the end of each plateau of recall, and the index `(...)` of the nearest.

        Entry k flags as much as it can without reaching the OOD score k - 1; entry 0 stops at the lowest OOD score.
        Entry K is recall 0, a candidate only where some in-distribution score exceeds every OOD score.
        """
        lowest = np.count_nonzero(reached == 1, axis=-1, keepdims=True) - 1
        flagged = np.concatenate([np.take_along_axis(self.in_at_least, lowest, axis=-1), self.in_above], axis=-1)
        reached = np.concatenate([reached, np.zeros_like(reached[..., :1])], axis=-1)
        distance = np.abs(reached - recall)
        distance[(reached == 0) & (flagged == 0)] = np.inf
        # Of two equal distances argmin takes the first, the higher recall, as the reference does.
        return flagged, np.argmin(distance, axis=-1)


def detection_metrics(
    score: ArrayLike, is_ood: ArrayLike, recall: float = 0.95, fpr_rule: FprRule = "nearest"
) -> DetectionMetrics:
    """AUROC, AUPR and FPR at a recall, exact, with ties counted as ties.

    OOD is the positive class. For the metrics with in-distribution as the positive class (Table 3 of the paper) call
    `detection_metrics(-score, ~is_ood)`. Pixels that belong to neither class must be left out by the caller.

    Memory beside the input: about two copies of the in-distribution scores and a few arrays as long as the OOD scores.

    Args:
        score: Anomaly scores of any shape, higher = more anomalous; real numbers of any precision, compared as they
            are. Infinite scores rank first or last and tie with each other.
        is_ood: Booleans of the same shape.
        recall: The wanted recall of OOD scores, in (0, 1].
        fpr_rule: `"nearest"`, the rule of the paper's reference code, or `"first"`; see `RankCounts.fpr`.

    Returns:
        Fractions between 0 and 1.

    Raises:
        OneClassError: No OOD score, or no in-distribution score.
        NonFiniteScoreError: Some scores are NaN.
        TypeError: The scores are not real numbers or `is_ood` is not boolean.
        ValueError: The shapes differ, the recall is outside (0, 1] or the rule is unknown.

    Examples:
        >>> score = np.array([0.1, 0.4, 0.35, 0.8, 0.9, 0.4])
        >>> is_ood = np.array([False, False, True, True, True, True])
        >>> detection_metrics(score, is_ood)
        DetectionMetrics(auroc=0.8125, aupr=0.8875, fpr=0.5)
        >>> detection_metrics(-score, ~is_ood).aupr
        0.75

        Both rules choose recall 2/3 here, reached by the thresholds 3 and 4; only "nearest" goes down to 3.

        >>> score, is_ood = np.array([1, 2, 3, 4, 5]), np.array([False, True, False, True, True])
        >>> detection_metrics(score, is_ood, 0.6).fpr, detection_metrics(score, is_ood, 0.6, "first").fpr
        (0.5, 0.0)

    Source:
        Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings", ICML 2022, section 4, and
        the evaluation code released with it (`fpr_and_fdr_at_recall`).
    """
    _check_operating_point(recall, fpr_rule)
    counts = RankCounts.from_scores(score, is_ood)
    return DetectionMetrics(float(counts.auroc()), float(counts.aupr()), float(counts.fpr(recall, fpr_rule)))


def tpr_at_fpr(score: ArrayLike, is_ood: ArrayLike, rate: float = FALSE_ALARMS) -> float:
    """Share of the OOD scores that is caught with at most so many false alarms: TPR at an FPR.

    A threshold t flags every score >= t. Of all thresholds that flag at most that share of the in-distribution scores,
    the lowest counts; equal scores are flagged together. OOD is what is caught, whichever class is called positive.

    Args:
        score: As in `detection_metrics`.
        is_ood: Booleans of the same shape.
        rate: Largest share of flagged in-distribution scores, in [0, 1).

    Raises:
        ValueError: The rate is outside [0, 1); otherwise the errors of `detection_metrics`.

    Examples:
        One of the 20 in-distribution scores may be flagged. The second highest, 19, ties with an OOD score.

        >>> score = np.array([*range(1, 21), 19, 19.5, 30])
        >>> round(tpr_at_fpr(score, np.arange(23) >= 20), 3)
        0.667
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate must lie in [0, 1), got {rate}.")
    return float(RankCounts.from_scores(score, is_ood).tpr(rate))


def roc_curve_points(score: ArrayLike, is_ood: ArrayLike, max_points: int = 200) -> RocCurve:
    """Points on the exact ROC curve for plotting, thinned evenly along its length.

    Args:
        score: Anomaly scores of any shape, as in `detection_metrics`.
        is_ood: Booleans of the same shape.
        max_points: Upper bound on the number of points, at least 2. A curve with no more corners is returned whole.

    Returns:
        The curve from (0, 0) to (1, 1). Every point is exact; only the straight lines between them approximate.

    Raises:
        ValueError: `max_points` is below 2; otherwise the errors of `detection_metrics`.

    Examples:
        >>> curve = roc_curve_points([1.0, 2, 3, 4], np.array([False, True, False, True]))
        >>> curve.fpr.tolist(), curve.tpr.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    if max_points < _FEWEST_POINTS:
        raise ValueError(f"max_points must be at least {_FEWEST_POINTS}, got {max_points}.")
    counts = RankCounts.from_scores(score, is_ood)
    true = counts.ood_at_least
    # Descending through an OOD score, the curve first goes right at the old recall, then steps to the new one.
    corners_in = np.stack([counts.in_above, counts.in_at_least], axis=-1)[::-1].ravel()
    corners_ood = np.stack([np.append(true[1:], 0), true], axis=-1)[::-1].ravel()
    fpr = np.concatenate([[0], corners_in, [counts.n_in]]) / counts.n_in
    tpr = np.concatenate([[0], corners_ood, [counts.n_ood]]) / counts.n_ood
    length = fpr + tpr
    kept = np.flatnonzero(np.diff(length, prepend=-1) > 0)
    if kept.size > max_points:
        kept = kept[np.unique(np.searchsorted(length[kept], np.linspace(0, 2, max_points)))]
    return RocCurve(fpr[kept], tpr[kept])


def distinct_scores(score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Ascending distinct values of one axis of scores without NaN, and how often each occurs: `(K,)`, `(K,)`.

    Examples:
        >>> distinct_scores(np.array([3.0, 1.0, 3.0]))
        (array([1., 3.]), array([1, 2]))
    """
    ordered = np.sort(widened(score))
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: ordered.size])
    return ordered[starts], np.diff(starts, append=ordered.size).astype(np.int64)


def count_above(values: Any, thresholds: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count how many values are greater than each threshold, and how many are greater or equal.

    Args:
        values: Scores without NaN, shape `(n,)`, in any order; a tensor of a GPU is counted there.
        thresholds: Ascending distinct scores without NaN, shape `(K,)`, K >= 1.

    Returns:
        Two arrays of shape `(K,)`: greater, and greater or equal. Counts of parts of the values add up.

    Examples:
        >>> count_above(np.array([5.0, 1.0, 2.0, 2.0]), np.array([2.0, 3.0]))
        (array([1, 1]), array([3, 1]))
    """
    thresholds = widened(thresholds)
    if isinstance(values, np.ndarray):
        values = widened(values)
        if values.size < thresholds.size:
            return _count_by_value(values, thresholds)
        if values.size < _MANY or values.dtype != thresholds.dtype or values.dtype.kind != "f":
            return _count_by_sorting(values, thresholds)
    return Places(thresholds).find(values).tails(np.arange(thresholds.size))


def widened(score: NDArray[Any]) -> NDArray[Any]:
    """Half precision as single precision, exactly; anything else as it is.

    NumPy 2.4.6 leaves large float16 arrays unsorted on processors with AVX-512 VBMI2 if many values are denormal or
    equal an end of the range, as saturated softmax scores do. Sorting float32 is right, and faster too.
    """
    return score.astype(np.float32) if score.dtype == np.float16 else score


def _count_by_value(values: NDArray[Any], thresholds: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Look each of the few values up in the many thresholds."""
    # In order, neighbouring look-ups share their path: nine times as fast among six million thresholds.
    ordered = np.sort(values)
    tails = []
    for side in ("left", "right"):
        passed = np.bincount(np.searchsorted(thresholds, ordered, side), minlength=thresholds.size + 1)
        tails.append(values.size - np.cumsum(passed)[:-1])
    return tails[0], tails[1]


def _count_by_sorting(values: NDArray[Any], thresholds: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Look each of the few thresholds up in the sorted values."""
    ordered = np.sort(values)
    in_above = ordered.size - np.searchsorted(ordered, thresholds, "right")
    in_at_least = ordered.size - np.searchsorted(ordered, thresholds, "left")
    return in_above, in_at_least


def _checked(score: ArrayLike, is_ood: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Flat scores without NaN and a flat mask of the same length, or the error that says what is wrong."""
    values, mask = np.asarray(score), np.asarray(is_ood)
    if values.shape != mask.shape:
        raise ValueError(f"score and is_ood must have the same shape, got {values.shape} and {mask.shape}.")
    check_types(values, mask)
    check_no_nan(values.ravel())
    return widened(values.ravel()), mask.ravel()


def check_types(score: NDArray[Any], is_ood: NDArray[Any]) -> None:
    """Refuse scores that are not real numbers and a mask that is not boolean, with `TypeError`."""
    if not (np.issubdtype(score.dtype, np.floating) or np.issubdtype(score.dtype, np.integer)):
        raise TypeError(f"Scores must be real numbers, got {score.dtype}.")
    if is_ood.dtype != np.bool_:
        raise TypeError(f"is_ood must be boolean, True for OOD, got {is_ood.dtype}.")


def check_no_nan(score: NDArray[Any], owner: str = "") -> None:
    """Refuse NaN in one axis of scores with `NonFiniteScoreError`; `owner` names the detector, if known."""
    missing = np.isnan(score)
    if missing.any():
        raise NonFiniteScoreError(int(np.count_nonzero(missing)), score.size, int(np.argmax(missing)), owner)


def _check_operating_point(recall: float, rule: str) -> None:
    """Refuse a recall outside (0, 1] and an unknown rule."""
    if not 0 < recall <= 1:
        raise ValueError(f"recall must lie in (0, 1], got {recall}.")
    check_choice("fpr_rule", rule, get_args(FprRule))
