"""How far a metric may be from its value on endless images: 95 % intervals without resampling.

Every image contributes to the error of a metric; the contributions (*influence values*) follow from the counts behind
the metric itself, so nothing is sorted anew. Their spread is the variance, their products over two detectors, seeds or
OOD sets on the same images are covariances, and their sums over the pixels of a scene respect that these are not
independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, ndtr, ndtri, stdtrit

from scaling_ood.metrics.ranking import (
    FALSE_ALARMS,
    DetectionMetrics,
    FprRule,
    RankCounts,
    distinct_scores,
    widened,
)

COVERAGE = 0.95
_UPPER = (1 + COVERAGE) / 2
_NORMAL = float(ndtri(_UPPER))
_MOST_DF = 1e9
_GRID = 128


class Interval(NamedTuple):
    """Bounds that hold a metric with a chance of 95 %, fractions in [0, 1]."""

    low: float
    high: float


class DetectionIntervals(NamedTuple):
    """Intervals of the three metrics; see `DetectionMetrics`."""

    auroc: Interval
    aupr: Interval
    fpr: Interval


@dataclass(frozen=True)
class Estimate:
    """One metric of one detector, its interval, and each image's contribution to its error.

    Two estimates whose `parts` have a key in common were made on the same images there, in the same order; images of
    different keys are independent.
    """

    value: float
    """The metric, a fraction."""
    interval: Interval
    """Its bounds; they contain the value."""
    parts: Mapping[str, NDArray[np.float64]]
    """Name of a group of images to their contributions, `(n,)`, of mean 0: by how much the value moves if the image
    counts twice."""
    grain: float = 0.0
    """Variance beside that of the images, because the value moves in steps from one score to the next: FPR only."""


class DetectionEstimates(NamedTuple):
    """Estimates of the three metrics; see `DetectionMetrics`."""

    auroc: Estimate
    aupr: Estimate
    fpr: Estimate


def metric_intervals(
    score: ArrayLike, is_ood: ArrayLike, recall: float = 0.95, fpr_rule: FprRule = "nearest"
) -> DetectionIntervals:
    """95 % intervals of AUROC, AUPR and FPR at a recall.

    - AUROC, AUPR: value and standard error on the logit scale, which keeps the bounds in [0, 1]. The variance of AUROC
      is DeLong's, that of AUPR the jackknife's. The quantile is Student's: where a few images make up the error, as
      near a perfect separation, little is known of the variance, and the degrees of freedom say so (twice the squared
      variance over the variance of the variance, from the fourth moments of the contributions).
    - FPR: by the binomial distribution, the threshold whose recall is the wanted one lies between two OOD scores; the
      FPR there, and Wilson's interval of a share of the in-distribution images, are combined side by side (square root
      of the sum of squares). With fewer than about 70 OOD images even the lowest of them is too high for the upper
      bound; the ROC curve is then prolonged as a straight line on normal axes.
    - Where nothing varies (perfect separation, a constant score, a class of one image): Wilson's interval of a share of
      as many images as the smaller class has.

    Args:
        score: As in `detection_metrics`, one axis `(N,)`.
        is_ood: Booleans, `(N,)`.
        recall: As in `detection_metrics`.
        fpr_rule: As in `detection_metrics`.

    Raises:
        ValueError: The scores are not `(N,)`; otherwise the errors of `detection_metrics`.

    Examples:
        >>> is_ood = np.arange(60) >= 40
        >>> intervals = metric_intervals(np.sin(np.arange(60)) + 2 * is_ood, is_ood)
        >>> [round(bound, 2) for bound in intervals.auroc]
        [0.84, 1.0]
        >>> metric_intervals(np.arange(60), is_ood).auroc.high
        1.0

    Source:
        DeLong et al., Biometrics 44 (1988) 837-845; Efron, "The Jackknife, the Bootstrap and Other Resampling Plans"
        (1982), chapter 6; Satterthwaite, Biometrics Bulletin 2 (1946) 110-114; Hettmansperger and Sheather, Statistics
        & Probability Letters 4 (1986) 75-79 (between order statistics); Zou and Donner, Statistics in Medicine 27
        (2008) 1693-1702 (side by side); Wilson, JASA 22 (1927) 209-212.
    """
    counts = RankCounts.from_scores(score, is_ood)
    return _intervals(counts, influences(counts, recall, fpr_rule), recall, fpr_rule)


def detection_estimates(
    score: ArrayLike,
    is_ood: ArrayLike,
    recall: float = 0.95,
    fpr_rule: FprRule = "nearest",
    names: tuple[str, str] = ("in_dist", "ood"),
) -> DetectionEstimates:
    """The metrics of `detection_metrics`, exactly, each with its interval and every image's contribution.

    Args:
        score: As in `metric_intervals`.
        is_ood: Booleans, `(N,)`.
        recall: As in `detection_metrics`.
        fpr_rule: As in `detection_metrics`.
        names: Keys of the negative and of the positive images among the parts.

    Raises:
        ValueError: As in `metric_intervals`.

    Examples:
        >>> is_ood = np.array([False, False, True, True])
        >>> detection_estimates(np.array([1, 3, 2, 4]), is_ood).auroc.parts["ood"].tolist()
        [-0.125, 0.125]
    """
    counts = RankCounts.from_scores(score, is_ood)
    values, mask = widened(np.ravel(score)), np.ravel(is_ood)
    thresholds, _ = distinct_scores(values[mask])
    of_ood, of_in = np.searchsorted(thresholds, values[mask]), positions(thresholds, values[~mask])
    tables = influences(counts, recall, fpr_rule)
    intervals = _intervals(counts, tables, recall, fpr_rule)
    metrics = counts.auroc(), counts.aupr(), counts.fpr(recall, fpr_rule)
    found = []
    for value, interval, table in zip(metrics, intervals, tables, strict=True):
        parts = {names[0]: table.of_in[of_in] / counts.n_in, names[1]: table.of_ood[of_ood] / counts.n_ood}
        found.append(Estimate(float(value), interval, parts, table.grain))
    return DetectionEstimates(*found)


def tpr_estimate(
    score: ArrayLike,
    is_ood: ArrayLike,
    rate: float = FALSE_ALARMS,
    names: tuple[str, str] = ("in_dist", "ood"),
) -> Estimate:
    """`tpr_at_fpr` with its interval and every image's contribution.

    What is missed at that FPR is the FPR at the recall `1 - rate` by the rule `"first"`, with in-distribution as the
    positive class; the interval is that one's, mirrored.

    Args:
        score: As in `metric_intervals`.
        is_ood: Booleans, `(N,)`.
        rate: As in `tpr_at_fpr`.
        names: Keys of the in-distribution and of the OOD images among the parts.

    Examples:
        >>> found = tpr_estimate(np.array([*range(1, 21), 19, 19.5, 30]), np.arange(23) >= 20)
        >>> round(found.value, 3), [round(bound, 2) for bound in found.interval]
        (0.667, [0.1, 1.0])
    """
    mirrored = -np.asarray(score, dtype=np.float64), ~np.asarray(is_ood, dtype=bool)
    missed = detection_estimates(*mirrored, 1 - rate, "first", names[::-1]).fpr
    return _complement(missed)


def _complement(estimate: Estimate) -> Estimate:
    """The estimate of one minus the metric."""
    low, high = estimate.interval
    parts = {name: -part for name, part in estimate.parts.items()}
    return replace(estimate, value=1 - estimate.value, interval=Interval(1 - high, 1 - low), parts=parts)


class Influence(NamedTuple):
    """By how much a metric moves with an image's weight, for each place that its score can have; means are 0."""

    of_ood: NDArray[np.float64]
    """At each of the K distinct OOD scores, `(K,)`."""
    of_in: NDArray[np.float64]
    """At each position of an in-distribution score, `(2 K + 1,)`; see `positions`."""
    grain: float = 0.0
    """See `Estimate`."""


def positions(thresholds: NDArray[np.generic], values: NDArray[np.generic]) -> NDArray[np.intp]:
    """Place of each value among K ascending thresholds: 2 k + 1 equals threshold k, 2 k lies between k - 1 and k.

    Examples:
        >>> positions(np.array([1.0, 2.0]), np.array([0.5, 1.0, 1.5, 2.0, 9.0])).tolist()
        [0, 1, 2, 3, 4]
    """
    reached = np.searchsorted(thresholds, values, "right")
    return np.asarray(2 * reached - (thresholds[reached - 1] == values))


def influences(
    counts: RankCounts, recall: float, fpr_rule: FprRule, worth: float | None = None
) -> tuple[Influence, Influence, Influence]:
    """Influence on AUROC (the placements), AUPR (the jackknife's) and FPR (the threshold's recall by its slope).

    `worth` says how many independent scores the OOD scores are worth, all by default: the slope is that over the
    range of thresholds that may have the recall in truth.
    """
    n_in, n_ood = counts.n_in, counts.n_ood
    in_at = _at_positions(counts)
    below = np.cumsum(counts.ood_at) - counts.ood_at
    doubled = np.empty(in_at.size)
    doubled[1::2] = 2 * below + counts.ood_at
    doubled[::2] = 2 * np.append(below, n_ood)
    auroc = (2 * n_in - counts.in_above - counts.in_at_least) / (2 * n_in), 1 - doubled / (2 * n_ood)

    true, flagged = counts.ood_at_least, counts.in_at_least
    both = true + flagged
    pairs = both * np.maximum(both - 1.0, 1.0)
    # One image less, of either class, changes the precision at every threshold that it reaches.
    gained, lost = np.cumsum(counts.ood_at * flagged / pairs), np.cumsum(counts.ood_at * true / pairs)
    reached = np.append(0.0, lost)
    moved = np.empty(in_at.size)
    moved[1::2], moved[::2] = reached[1:], reached
    aupr = true / both + gained, -moved * (n_in / n_ood)

    low, high = (max(order, 1.0) * (n_ood / (worth or n_ood)) for order in _recall_band(worth or n_ood, recall))
    steps = _Steps(counts, fpr_rule)
    rise = steps.between(low) - steps.between(high)
    slope = rise * n_ood / (high - low) if high > low else 0.0
    cut = int(counts.cut(recall, fpr_rule))
    fpr = -slope * (2 * np.arange(counts.ood_at.size) + 1 >= cut), (np.arange(in_at.size) >= cut).astype(float)
    weights = counts.ood_at / n_ood, in_at / n_in
    centred = [
        [table - table @ weight for table, weight in zip(tables, weights, strict=True)] for tables in (auroc, aupr, fpr)
    ]
    # The threshold is known to half an image of either class, about.
    grain = ((slope / n_ood) ** 2 + 1 / n_in**2) / 2
    return Influence(*centred[0]), Influence(*centred[1]), Influence(centred[2][0], centred[2][1], grain)


def variance_and_df(
    parts: Sequence[NDArray[np.float64]], weights: Sequence[NDArray[np.int64] | None] | None = None
) -> tuple[float, float]:
    """Variance of the sum of independent groups of contributions, and how many degrees of freedom it rests on.

    Args:
        parts: Contributions of each group, of mean 0. A group of one image tells nothing of its variance and adds none.
        weights: How often each contribution of a group occurs; once by default.
    """
    variance = uncertainty = 0.0
    for part, weight in zip(parts, weights or [None] * len(parts), strict=True):
        n = part.size if weight is None else int(weight.sum())
        if n < 2:  # noqa: PLR2004 - a variance needs two
            continue
        square = part * part
        counted = square if weight is None else square * weight
        own = float(counted.sum()) * n / (n - 1)
        # The variance of a variance; at least that of normal contributions, as few show less spread than they have.
        uncertainty += max(float(counted @ square) - own**2 * (n - 3) / (n * (n - 1)), 2 * own**2 / (n - 1))
        variance += own
    return variance, min(max(2 * variance**2 / uncertainty, 1.0), _MOST_DF) if uncertainty > 0 else _MOST_DF


def mean_interval(by_seed: Sequence[Sequence[Estimate]]) -> Interval:
    """Interval of the mean of some estimates, over seeds and over OOD sets that share the in-distribution images.

    The half-widths of the estimates, each side by itself, are combined like standard errors, with the correlations
    that follow from the contributions of common images. What the seeds differ by, beyond what their images explain, is
    the variance of training. It enters in the same way, its half-width with Student's quantile of S - 1 degrees of
    freedom for S seeds; of one seed nothing is known, and the interval is about this one training.

    Args:
        by_seed: For each seed the estimates of every OOD set, in the same order.

    Source:
        Zou, "Toward using confidence intervals to compare correlations", Psychological Methods 12 (2007) 399-413.

    Examples:
        >>> lone = detection_estimates(np.array([1, 3, 2, 4]), np.array([False, False, True, True]))
        >>> mean_interval([[lone.auroc]]) == lone.auroc.interval
        True
    """
    cells = [one for row in by_seed for one in row]
    if len(cells) == 1:
        return cells[0].interval
    seeds, sets = len(by_seed), len(by_seed[0])
    values = np.array([one.value for one in cells])
    means = values.reshape(seeds, sets).mean(axis=1)
    correlation = _correlations(cells)
    between = float(means.var(ddof=1)) / seeds if seeds > 1 else 0.0
    student = float(stdtrit(seeds - 1, _UPPER)) if seeds > 1 else 0.0
    reach = []
    for side in (0, 1):
        half = np.array([abs(one.value - one.interval[side]) for one in cells]) / len(cells)
        squares = (correlation * np.outer(half, half)).reshape(seeds, sets, seeds, sets).sum(axis=(1, 3))
        image = max(float(squares.sum()), 0.0)
        # Seeds err on different images too, which makes them differ without any variance of training.
        explained = (np.trace(squares) * seeds - image) / max(seeds - 1, 1) / _NORMAL**2
        reach.append(float(np.sqrt(image + student**2 * max(between - max(explained, 0.0), 0.0))))
    value = float(values.mean())
    return Interval(max(value - reach[0], 0.0), min(value + reach[1], 1.0))


def mean_over_scenes(values: NDArray[np.float64], name: str = "scenes") -> Estimate:
    """Mean of one value per scene, the scenes being what varies: `(n_scenes,)`, fractions.

    Examples:
        >>> [round(bound, 2) for bound in mean_over_scenes(np.array([0.7, 0.8, 0.9, 0.9])).interval]
        [0.62, 0.93]
    """
    value = float(values.mean())
    parts = {name: (values - value) / values.size}
    return Estimate(value, logit_interval(value, *variance_and_df(list(parts.values())), values.size), parts)


def logit_interval(value: float, variance: float, df: float, fewest: float) -> Interval:
    """Interval of a fraction on the logit scale; see `metric_intervals`.

    Args:
        value: The fraction.
        variance: Of its error.
        df: Its degrees of freedom.
        fewest: Number of images of the smallest group, for Wilson's interval where nothing varies.
    """
    spread = value * (1 - value)
    if not (variance > 0 and spread > 0) or fewest < 2:  # noqa: PLR2004 - a variance needs two
        return _wilson(value, fewest, _NORMAL)
    reach = stdtrit(df, _UPPER) * np.sqrt(variance) / spread
    odds = np.log(value / (1 - value))
    return Interval(*(float(1 / (1 + np.exp(-(odds + side * reach)))) for side in (-1, 1)))


def fpr_interval(
    counts: RankCounts,
    value: float,
    recall: float,
    rule: FprRule,
    sizes: tuple[float, float] | None = None,
    stretch: float = 1.0,
) -> Interval:
    """Interval of the FPR at a recall; see `metric_intervals`.

    Args:
        counts: Counts behind the metric.
        value: The metric.
        recall: The recall.
        rule: Its rule.
        sizes: How many independent scores the in-distribution and the OOD scores are worth; all of them by default.
        stretch: Factor of the half-widths.
    """
    n_ood = counts.n_ood
    worth_in, worth_ood = sizes or (counts.n_in, n_ood)
    low, high = _recall_band(worth_ood, recall)
    scale = n_ood / worth_ood
    steps = _Steps(counts, rule)
    least, most = steps.between(high * scale), steps.between(low * scale)
    if low < 1:
        other = min(max(high, 3.0), worth_ood)
        if other > 1:
            at_other, at_lowest = (
                float(ndtri((share * worth_in + 0.5) / (worth_in + 1)))
                for share in (steps.between(order * scale) for order in (other, 1.0))
            )
            # The recall at the lowest score is at least this, and at those two it is expected to be that.
            surely, mean, lower = ndtri(
                [(1 - _UPPER) ** (1 / worth_ood), *(1 - np.array([1, other]) / (worth_ood + 1))]
            )
            beyond = (ndtri(recall) - surely) / (mean - lower)
            most = max(most, float(ndtr(at_lowest + (at_lowest - at_other) * beyond)))
        else:
            least, most = 0.0, 1.0
    share = _wilson(value, worth_in, _NORMAL)
    reach = [
        stretch * float(np.hypot(value - edge, value - bound))
        for edge, bound in zip((min(least, value), max(most, value)), share, strict=True)
    ]
    return Interval(max(value - reach[0], 0.0), min(value + reach[1], 1.0))


def scene_estimates(
    metrics: DetectionMetrics, positive: NDArray[np.int64], negative: NDArray[np.int64], recall: float, rule: FprRule
) -> DetectionEstimates:
    """Estimates of metrics of all pixels together, the scenes being what varies.

    The contribution of a scene is the sum of those of its pixels, divided by the share of pixels in other scenes, as a
    large scene draws the value to itself (the jackknife's correction). For the FPR, the variance of recall and FPR over
    the scenes says how many independent pixels there are in effect.

    Args:
        metrics: Their exact values.
        positive: Pixels of the positive class by scene and threshold, `(n_scenes, K)`.
        negative: Pixels of the negative class that reach just that threshold, the first column none:
            `(n_scenes, K + 1)`.
        recall: The recall of the FPR.
        rule: Its rule.
    """
    at_least = np.cumsum(negative.sum(axis=0)[::-1])[::-1]
    counts = RankCounts(int(at_least[0]), positive.sum(axis=0), np.append(at_least[2:], 0), at_least[1:])
    places = np.maximum(2 * np.arange(at_least.size) - 1, 0)
    cut = int(counts.cut(recall, rule))
    sizes = _worth(negative, places >= cut), _worth(positive, places[1:] >= cut)
    found = []
    for metric, table in enumerate(influences(counts, recall, rule, sizes[1])):
        both = (
            negative @ table.of_in[places] / counts.n_in / _others(negative),
            positive @ table.of_ood / counts.n_ood / _others(positive),
        )
        variance, df = variance_and_df([both[0] + both[1]])
        value = metrics[metric]
        if metric < 2:  # noqa: PLR2004 - AUROC and AUPR
            interval = logit_interval(value, variance, df, int(np.count_nonzero(positive.any(axis=1))))
        else:
            apart = variance_and_df(both)[0]
            stretch = float(np.sqrt(variance / apart)) if apart > 0 else 1.0
            interval = fpr_interval(counts, value, recall, rule, sizes, stretch)
        found.append(Estimate(value, interval, {"scenes": both[0] + both[1]}))
    return DetectionEstimates(*found)


def scene_tpr(
    value: float, positive: NDArray[np.int64], negative: NDArray[np.int64], rate: float, *, mirrored: bool
) -> Estimate:
    """Estimate of the TPR at an FPR of all pixels together, the scenes being what varies; see `tpr_estimate`.

    Args:
        value: Its exact value.
        positive: As in `scene_estimates`.
        negative: As there.
        rate: The FPR.
        mirrored: Whether in-distribution is the positive class.
    """
    if not mirrored:
        # Seen from the other side, at the same thresholds: in-distribution pixels at each, OOD pixels between them.
        none = np.zeros((len(positive), 1), dtype=positive.dtype)
        positive, negative = negative[:, ::-1], np.concatenate([none, positive[:, ::-1], none], axis=1)
    missed = DetectionMetrics(0.5, 0.5, 1 - value)
    return _complement(scene_estimates(missed, positive, negative, 1 - rate, "first").fpr)


def _worth(pixels: NDArray[np.int64], flagged: NDArray[np.bool_]) -> float:
    """How many independent pixels have a share of flagged ones as certain as these of some scenes."""
    total = int(pixels.sum())
    own, hits = pixels.sum(axis=1), pixels @ flagged
    share = hits.sum() / total
    variance, df = variance_and_df([(hits - share * own) / total / _others(pixels)])
    scenes = float(np.count_nonzero(own))
    worth = share * (1 - share) / variance if variance > 0 and 0 < share < 1 else scenes
    worth *= (_NORMAL / stdtrit(df, _UPPER)) ** 2
    return float(min(max(worth, 2.0), max(total, 2)))


def _others(pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the pixels that lie in other scenes, `(n_scenes,)`; a lone scene has none, and counts for one of two."""
    own = pixels.sum(axis=1)
    return np.asarray(1 - np.minimum(own / own.sum(), 0.5))


def covariance(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """Covariance `(R, R)` of some estimates, from the contributions of the images that they share."""
    found = np.zeros((len(estimates), len(estimates)))
    for name in dict.fromkeys(name for one in estimates for name in one.parts):
        rows = [index for index, one in enumerate(estimates) if name in one.parts]
        shared = np.stack([estimates[index].parts[name] for index in rows])
        n = shared.shape[1]
        found[np.ix_(rows, rows)] += shared @ shared.T * (n / max(n - 1, 1))
    return found


def _correlations(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """Correlations `(R, R)`; 1 where an estimate shows no variance, and nothing is known."""
    joint = covariance(estimates)
    error = np.sqrt(np.diag(joint))
    scale = np.outer(error, error)
    correlations: NDArray[np.float64] = np.divide(joint, scale, out=np.ones_like(joint), where=scale > 0)
    return correlations


def _intervals(counts: RankCounts, tables: Sequence[Influence], recall: float, fpr_rule: FprRule) -> DetectionIntervals:
    """Intervals of the three metrics from the counts behind them."""
    weights = _at_positions(counts), counts.ood_at
    fewest = min(counts.n_in, counts.n_ood)
    auroc, aupr = (
        logit_interval(
            float(value),
            *variance_and_df([table.of_in / counts.n_in, table.of_ood / counts.n_ood], weights),
            fewest,
        )
        for value, table in zip((counts.auroc(), counts.aupr()), tables[:2], strict=True)
    )
    fpr = float(counts.fpr(recall, fpr_rule))
    return DetectionIntervals(auroc, aupr, fpr_interval(counts, fpr, recall, fpr_rule))


def _at_positions(counts: RankCounts) -> NDArray[np.int64]:
    """In-distribution scores at each position, `(2 K + 1,)`; see `positions`."""
    tails = np.empty(2 * counts.ood_at.size + 2, dtype=np.int64)
    tails[0], tails[-1] = counts.n_in, 0
    tails[1:-1:2], tails[2:-1:2] = counts.in_at_least, counts.in_above
    return tails[:-1] - tails[1:]


def _normal_at(n: float, recall: float, order: ArrayLike) -> NDArray[np.float64]:
    """Normal score of the chance that fewer than `order` of n OOD scores lie below the threshold of that recall."""
    order = np.asarray(order)
    chance = betainc(order, n - order + 1, 1 - min(recall, 1 - 0.5 / n))
    return np.asarray(-ndtri(np.clip(chance, 1e-300, 1 - 1e-16)))


def _recall_band(n: float, recall: float) -> tuple[float, float]:
    """Which of n ascending OOD scores, counted from 1, bound the threshold of that recall; below 1 is under all."""
    missed = 1 - min(recall, 1 - 0.5 / n)
    middle, spread = n * missed + 0.5, np.sqrt(n * missed * (1 - missed))
    order = np.linspace(max(middle - 5 * spread, 0.01), min(middle + 5 * spread + 5, n), _GRID)
    low, high = np.interp([-_NORMAL, _NORMAL], _normal_at(n, recall, order), order)
    return float(low), float(high)


class _Steps:
    """FPR of a set of counts at any order of the OOD scores, each look-up without a pass over the thresholds."""

    def __init__(self, counts: RankCounts, rule: FprRule) -> None:
        self.counts, self.rule = counts, rule
        self.true = np.cumsum(counts.ood_at[::-1])

    def between(self, order: float) -> float:
        """FPR at the OOD score of that order, counted from 1 at the lowest; between two of them in proportion."""
        n = self.counts.n_ood
        order = min(max(order, 1.0), max(n - 1.0, 1.0))
        whole = int(order)
        at, above = self._flagged(n - whole), self._flagged(n - whole - 1)
        return (at + (order - whole) * (above - at)) / self.counts.n_in

    def _flagged(self, wanted: int) -> int:
        """False positives where that many OOD scores are wanted, under the rule; see `RankCounts.fpr`."""
        counts, true = self.counts, self.true
        if wanted < 1:
            return 0
        from_top = int(np.searchsorted(true, wanted))
        threshold = true.size - 1 - from_top
        if self.rule == "first":
            return int(counts.in_at_least[threshold])
        fewer = int(true[from_top - 1]) if from_top else 0
        if wanted - fewer < true[from_top] - wanted and (fewer or counts.in_above[-1]):
            threshold += 1
        return int(counts.in_above[threshold - 1] if threshold else counts.in_at_least[0])


def _wilson(share: float, n: float, quantile: float) -> Interval:
    """Wilson's interval of a share of n."""
    square = quantile**2 / n
    centre, reach = share + square / 2, quantile * np.sqrt(share * (1 - share) / n + (quantile / n) ** 2 / 4)
    low, high = (float(min(max((centre + side * reach) / (1 + square), 0.0), 1.0)) for side in (-1, 1))
    return Interval(min(low, share), max(high, share))
