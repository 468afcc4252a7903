"""The ranking metrics against scikit-learn and a literal transcription of the paper's FPR rule."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from scaling_ood.metrics import NonFiniteScoreError, OneClassError, detection_metrics, roc_curve_points, tpr_at_fpr
from scaling_ood.metrics.ranking import RankCounts, count_above, distinct_scores


def nearest_fpr(is_ood, score, recall=0.95):
    """Follow the reference code step by step: stable order, cumulative counts, sentinel, first nearest recall."""
    order = np.argsort(score, kind="stable")[::-1]
    score, is_ood = score[order], is_ood[order]
    last_of_value = np.append(np.flatnonzero(score[1:] != score[:-1]), score.size - 1)
    true = np.cumsum(is_ood)[last_of_value]
    false = 1 + last_of_value - true
    reached = true / true[-1]
    complete = np.searchsorted(true, true[-1])
    reached = np.append(reached[complete::-1], 1)
    false = np.append(false[complete::-1], 0)
    return false[np.argmin(np.abs(reached - recall))] / np.count_nonzero(~is_ood)


def first_fpr(is_ood, score, recall=0.95):
    """Take the first threshold of the whole ROC curve that reaches the recall."""
    fpr, tpr, _ = roc_curve(is_ood, score, drop_intermediate=False)
    return fpr[np.argmax(tpr >= recall)]


def reference(score, is_ood, recall=0.95, fpr_rule="nearest"):
    """The three metrics, computed another way."""
    score, is_ood = np.ravel(score).astype(np.float64), np.ravel(is_ood)
    fpr = nearest_fpr if fpr_rule == "nearest" else first_fpr
    # scikit-learn sums huge scores to check that they are finite.
    with np.errstate(all="ignore"):
        return roc_auc_score(is_ood, score), average_precision_score(is_ood, score), fpr(is_ood, score, recall)


def assert_exact(score, is_ood, recall=0.95):
    """Both rules agree with the reference to 1e-9."""
    for rule in ("nearest", "first"):
        expected = reference(score, is_ood, recall, rule)
        assert detection_metrics(score, is_ood, recall, rule) == pytest.approx(expected, rel=0, abs=1e-9)


def mask_with(n, n_ood, rng):
    """A shuffled mask with exactly `n_ood` OOD entries."""
    return rng.permutation(np.arange(n) < n_ood)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize(("n", "n_ood"), [(2, 1), (50, 1), (50, 10), (50, 49), (2000, 37), (2000, 1500), (2000, 1000)])
def test_equals_reference_in_every_precision_and_class_ratio(dtype, n, n_ood):
    """Float16 and integers tie heavily; the majority may be either class."""
    rng = np.random.default_rng([n, n_ood])
    is_ood = mask_with(n, n_ood, rng)
    assert_exact((20 * (rng.normal(size=n) + is_ood)).astype(dtype), is_ood)


@pytest.mark.parametrize("case", range(400))
def test_equals_reference_on_ties(case):
    """Few distinct values, any class ratio, any recall."""
    rng = np.random.default_rng(case)
    n = int(rng.integers(2, 120))
    is_ood = mask_with(n, int(rng.integers(1, n)), rng)
    score = rng.integers(0, rng.integers(1, 30), size=n) / 7
    assert_exact(score, is_ood, recall=float(rng.choice([0.95, 0.95, 0.8, 0.5, 0.1, 1.0])))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.booleans()), min_size=2, max_size=40))
def test_equals_reference_on_any_finite_floats(pairs):
    """Includes values whose differences overflow or are denormal, and both zeros."""
    score, is_ood = np.array([value for value, _ in pairs]), np.array([flag for _, flag in pairs])
    if 0 < np.count_nonzero(is_ood) < is_ood.size:
        assert_exact(score, is_ood)


@pytest.mark.parametrize("scale", [1e300, 1.7e308, 1e-300, 5e-324, 1.0])
def test_equals_reference_at_extreme_magnitudes(scale):
    """Huge and denormal scores keep their order."""
    rng = np.random.default_rng(1)
    is_ood = mask_with(300, 40, rng)
    score = np.round(rng.uniform(-1, 1, size=300), 1) if scale > 1 else rng.integers(-9, 9, size=300)
    assert_exact(score * scale, is_ood)


def test_constant_scores_are_chance():
    """A single tie: half of the pairs, the base rate, everything flagged."""
    assert detection_metrics(np.zeros(8), np.arange(8) < 2) == (0.5, 0.25, 1.0)
    assert_exact(np.full(8, 3.5), np.arange(8) < 2)


def test_perfect_and_inverted_detectors():
    """The ends of the scale are met exactly."""
    is_ood = np.arange(100) >= 90
    assert detection_metrics(np.arange(100.0), is_ood) == (1.0, 1.0, 0.0)
    worst = detection_metrics(-np.arange(100.0), is_ood)
    assert (worst.auroc, worst.fpr) == (0.0, 1.0)


def test_nearest_recall_of_ten_scores_is_nine_tenths():
    """|0.9 - 0.95| < |1.0 - 0.95| in float64, so the lowest OOD score, 1, is given up; "first" keeps it.

    One in-distribution score ties with that OOD score: threshold 1.5 leaves it, threshold 1 flags it.
    """
    score = np.concatenate([np.arange(1, 11), [0.5, 1.0, 1.5, 20.0]])
    is_ood = np.arange(14) < 10
    assert detection_metrics(score, is_ood).fpr == 0.5
    assert detection_metrics(score, is_ood, fpr_rule="first").fpr == 0.75
    assert_exact(score, is_ood)


def test_nearest_takes_the_end_of_the_plateau_and_first_its_start():
    """Between two OOD scores the recall is the same; the rules differ in what they flag there."""
    score, is_ood = np.array([1, 2, 3, 4, 5]), np.array([False, True, False, True, True])
    assert detection_metrics(score, is_ood, 0.6, "nearest").fpr == pytest.approx(1 / 2)
    assert detection_metrics(score, is_ood, 0.6, "first").fpr == 0


@pytest.mark.parametrize("in_dist", [[0.0, 2.0], [0.0, 0.5]])
def test_recall_zero_is_a_candidate_only_if_a_threshold_reaches_it(in_dist):
    """One OOD score and a wanted recall of 0.3: flagging no OOD score is nearer, if some threshold does that."""
    assert_exact(np.array([*in_dist, 1.0]), np.array([False, False, True]), recall=0.3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", ["normal", "saturated", "outlier", "one value", "infinite", "denormal", "huge"])
def test_bucketed_counts_equal_sorted_counts(dtype, shape):
    """Large sets are counted through buckets, which must not cost exactness for any distribution."""
    rng = np.random.default_rng(7)
    n = 400_000
    is_ood = rng.random(n) < 0.005
    score = rng.normal(size=n) + is_ood
    if shape == "saturated":
        score = -1 / (1 + np.exp(-5 * score - 6))
    elif shape == "outlier":
        score[np.flatnonzero(is_ood)[0]] = 6e4
    elif shape == "one value":
        score[is_ood] = 0.25
    elif shape == "infinite":
        score[::50] = np.inf
        score[1::50] = -np.inf
    elif shape == "denormal":
        score = np.round(score * 100) * np.finfo(dtype).smallest_subnormal.astype(np.float64)
    elif shape == "huge":
        score = np.clip(score / 3, -1, 1) * float(np.finfo(dtype).max)
    score = score.astype(dtype)
    in_dist, (thresholds, _) = np.sort(score[~is_ood].astype(np.float64)), distinct_scores(score[is_ood])
    in_above, in_at_least = count_above(score[~is_ood], thresholds)
    np.testing.assert_array_equal(in_above, in_dist.size - np.searchsorted(in_dist, thresholds, "right"))
    np.testing.assert_array_equal(in_at_least, in_dist.size - np.searchsorted(in_dist, thresholds, "left"))


def test_large_half_precision_sets_are_sorted_correctly():
    """NumPy's own sort of float16 is wrong here on some processors, so it must not be used."""
    rng = np.random.default_rng(10)
    is_ood = rng.random(200_000) < 0.5
    score = (-1 / (1 + np.exp(-5 * rng.normal(size=200_000) - 6 + 2 * is_ood))).astype(np.float16)
    thresholds, ood_at = distinct_scores(score[is_ood])
    np.testing.assert_array_equal(thresholds, np.unique(score[is_ood].astype(np.float64)))
    assert ood_at.sum() == np.count_nonzero(is_ood)
    assert_exact(score, is_ood)


@pytest.mark.parametrize("values", [np.arange(3.0), np.arange(300_000) % 1000 / 8])
def test_long_double_and_integer_scores_are_counted(values):
    """Precisions without a fast path are sorted; integers go through it as floats, ties and order kept."""
    thresholds = np.array([0, 1, 2, 60])
    expected = [
        [np.count_nonzero(values > at) for at in thresholds],
        [np.count_nonzero(values >= at) for at in thresholds],
    ]
    for dtype in (np.longdouble, np.float64):
        np.testing.assert_array_equal(count_above(values.astype(dtype), thresholds.astype(dtype)), expected)
    np.testing.assert_array_equal(count_above((values * 8).astype(np.int64), thresholds * 8), expected)


def test_large_frame_equals_reference():
    """The bucketed path, end to end."""
    rng = np.random.default_rng(2)
    is_ood = rng.random((500, 600)) < 0.0083
    assert_exact((rng.normal(size=is_ood.shape) + is_ood).astype(np.float32), is_ood)


@pytest.mark.parametrize("n_parts", [1, 3, 50])
def test_counts_of_parts_add_up(n_parts):
    """The promise that pooled metrics rest on: count part by part against the OOD scores of the whole set."""
    rng = np.random.default_rng(3)
    score, is_ood = np.round(rng.normal(size=3000), 2), mask_with(3000, 100, rng)
    thresholds, ood_at = distinct_scores(score[is_ood])
    parts = [count_above(part, thresholds) for part in np.array_split(score[~is_ood], n_parts)]
    counts = RankCounts(2900, ood_at, sum(above for above, _ in parts), sum(at_least for _, at_least in parts))
    assert (counts.auroc(), counts.aupr(), counts.fpr()) == detection_metrics(score, is_ood)


def test_leading_axes_are_replicates_and_absent_thresholds_do_not_count():
    """Row 0 has every threshold, row 1 lacks the lowest and the highest, row 2 all but one."""
    in_dist, thresholds = np.array([0, 1, 1, 2, 3, 4, 5, 6]), np.array([1, 3, 4, 5])
    ood_at = np.array([[1, 1, 1, 1], [0, 3, 1, 0], [0, 0, 4, 0]])
    in_above, in_at_least = (np.broadcast_to(tail, ood_at.shape) for tail in count_above(in_dist, thresholds))
    counts = RankCounts(8, ood_at, in_above, in_at_least)
    for recall in (0.95, 0.7, 0.05):
        for rule in ("nearest", "first"):
            together = np.stack([counts.auroc(), counts.aupr(), counts.fpr(recall, rule)], axis=-1)
            for row, present in zip(together, ood_at, strict=True):
                score = np.concatenate([in_dist, np.repeat(thresholds, present)])
                is_ood = np.arange(12) >= in_dist.size
                assert row == pytest.approx(reference(score, is_ood, recall, rule), abs=1e-12)


def test_any_shape_order_and_stride():
    """Scores are flattened; views and reversed strides are as good as copies."""
    rng = np.random.default_rng(4)
    score, is_ood = rng.normal(size=(4, 30, 20)), rng.random((4, 30, 20)) < 0.1
    expected = detection_metrics(score.ravel(), is_ood.ravel())
    assert detection_metrics(score, is_ood) == expected
    assert detection_metrics(score[::-1].transpose(2, 0, 1), is_ood[::-1].transpose(2, 0, 1)) == expected


def test_input_is_not_changed():
    """Sorting and scaling happen on copies."""
    rng = np.random.default_rng(5)
    score, is_ood = rng.normal(size=200_000).astype(np.float32), rng.random(200_000) < 0.01
    before = score.copy()
    detection_metrics(score, is_ood)
    np.testing.assert_array_equal(score, before)


def test_in_distribution_as_positive_class():
    """The caller swaps the classes by negating both arguments."""
    rng = np.random.default_rng(6)
    score, is_ood = np.round(rng.normal(size=500), 1), mask_with(500, 60, rng)
    swapped = detection_metrics(-score, ~is_ood)
    assert swapped == pytest.approx(reference(-score, ~is_ood), abs=1e-9)
    assert swapped.auroc == pytest.approx(detection_metrics(score, is_ood).auroc)


def test_infinite_scores_rank_like_the_largest_and_smallest_values():
    """The logarithm of 0 is a legitimate score: it ranks first or last, and equal infinities tie."""
    rng = np.random.default_rng(8)
    score, is_ood = rng.normal(size=200), mask_with(200, 30, rng)
    score[:20], score[20:30] = np.inf, -np.inf
    finite = np.clip(score, -1e6, 1e6)
    for rule in ("nearest", "first"):
        assert detection_metrics(score, is_ood, fpr_rule=rule) == pytest.approx(reference(finite, is_ood, 0.95, rule))


@pytest.mark.parametrize(("n_in", "n_ood"), [(5, 0), (0, 3), (0, 0)])
def test_one_class_missing_is_an_error_with_counts(n_in, n_ood):
    """No metric is invented."""
    with pytest.raises(OneClassError, match=f"{n_in} in-distribution and {n_ood} OOD") as caught:
        detection_metrics(np.zeros(n_in + n_ood), np.arange(n_in + n_ood) >= n_in)
    assert (caught.value.n_in, caught.value.n_ood) == (n_in, n_ood)


def test_nan_is_an_error_with_counts():
    """NaN has no rank; the message says how many there are and where to look."""
    with pytest.raises(NonFiniteScoreError, match=re.escape("2 of 4 scores are NaN (the first at index 1)")) as caught:
        detection_metrics(np.array([[1, np.nan], [np.nan, 0]]), np.array([[True, False], [True, False]]))
    assert (caught.value.n_nan, caught.value.n_scores) == (2, 4)


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, r"same shape, got \(2,\) and \(3,\)", (np.zeros(2), np.array([True, False, True]))),
        (TypeError, "boolean, True for OOD, got int", (np.zeros(2), np.array([0, 1]))),
        (TypeError, "real numbers, got complex128", (np.zeros(2, complex), np.array([True, False]))),
        (ValueError, r"recall must lie in \(0, 1\], got 95", (np.zeros(2), np.array([True, False]), 95)),
        (ValueError, r"recall must lie in \(0, 1\], got 0", (np.zeros(2), np.array([True, False]), 0)),
        (ValueError, "did you mean 'nearest'", (np.zeros(2), np.array([True, False]), 0.95, "neares")),
    ],
)
def test_wrong_arguments_are_named(error, message, arguments):
    """Each message says what was given and what is allowed."""
    with pytest.raises(error, match=message):
        detection_metrics(*arguments)


@pytest.mark.parametrize("n_distinct", [1, 5, 10_000])
def test_roc_points_lie_on_the_exact_curve(n_distinct):
    """All corners when they fit; otherwise a subset of them from (0, 0) to (1, 1), evenly spread."""
    rng = np.random.default_rng(9)
    score, is_ood = rng.integers(0, n_distinct, size=2000), mask_with(2000, 700, rng)
    fpr, tpr, _ = roc_curve(is_ood, score, drop_intermediate=False)
    exact = {(round(x, 12), round(y, 12)) for x, y in zip(fpr, tpr, strict=True)}
    for max_points in (2, 50, 10**6):
        curve = roc_curve_points(score, is_ood, max_points)
        points = [(round(x, 12), round(y, 12)) for x, y in zip(*curve, strict=True)]
        assert (points[0], points[-1]) == ((0, 0), (1, 1))
        assert len(points) <= max_points
        assert set(points) <= exact
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(roc_auc_score(is_ood, score))
    thinned = roc_curve_points(score, is_ood, 200)
    assert np.trapezoid(thinned.tpr, thinned.fpr) == pytest.approx(roc_auc_score(is_ood, score), abs=1e-3)


def test_roc_needs_two_points():
    """A curve has at least its ends."""
    with pytest.raises(ValueError, match="at least 2, got 1"):
        roc_curve_points([0.0, 1.0], np.array([False, True]), max_points=1)


def caught(score, is_ood, rate):
    """Try every threshold: at each score, and above them all."""
    score, is_ood = np.ravel(score), np.ravel(is_ood)
    flagged = [score >= threshold for threshold in [*np.unique(score)]]
    allowed = [one[is_ood].mean() for one in flagged if one[~is_ood].mean() <= rate]
    return max(allowed, default=0.0)


finite = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False, width=16))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(finite, min_size=1, max_size=45),
    st.lists(finite, min_size=1, max_size=30),
    st.sampled_from([0.0, 0.05, 0.1, 0.5]),
)
def test_tpr_is_the_largest_of_all_thresholds_with_few_enough_false_alarms(known, unseen, rate):
    """Ties, infinite scores, rates that are reached exactly (1 of 20) and never (1 of 7)."""
    score, is_ood = np.array(known + unseen), np.arange(len(known) + len(unseen)) >= len(known)
    expected = caught(score, is_ood, rate)
    assert tpr_at_fpr(score, is_ood, rate) == expected
    mirrored = RankCounts.from_scores(-score, ~is_ood).tpr(rate, mirrored=True)
    assert mirrored == expected


@pytest.mark.parametrize(
    ("known", "unseen", "expected"),
    [
        # One of 20 may be flagged, so all from 19.5 on are: not 19, which would flag two.
        (range(1, 21), [19, 19.5, 30, 0], 0.5),
        # Of 19 none may.
        (range(1, 20), [18, 19, 19.5, 30], 0.5),
        # The highest in-distribution score ties twice: both would be false alarms.
        ([*range(1, 20), 19], [19, 20], 0.5),
        # A constant score catches nothing.
        ([1] * 20, [1] * 5, 0.0),
        ([0] * 20, [np.inf, -np.inf], 0.5),
        ([np.inf] + [0] * 19, [np.inf, 1, 0], 2 / 3),
    ],
)
def test_tpr_by_hand(known, unseen, expected):
    score = np.array([*known, *unseen], dtype=float)
    assert tpr_at_fpr(score, np.arange(score.size) >= len(known)) == expected


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan])
def test_another_rate_of_false_alarms_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\)"):
        tpr_at_fpr(np.array([0.0, 1.0]), np.array([False, True]), rate)
