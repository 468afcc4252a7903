"""Intervals: values and variances of independent references, coverage, edges, means, seeds and scenes."""

import numpy as np
import pytest
from scipy.stats import norm

from scaling_ood.metrics import (
    NonFiniteScoreError,
    OneClassError,
    PerImageMean,
    PooledThresholds,
    bootstrap_replicates,
    delong_covariance,
    detection_estimates,
    detection_metrics,
    mean_interval,
    mean_over_scenes,
    metric_intervals,
    tpr_at_fpr,
    tpr_estimate,
)
from scaling_ood.metrics.estimates import variance_and_df

METRICS = ["auroc", "aupr", "fpr"]
RULES = ["nearest", "first"]


def drawn(n_in, n_ood, distance, *, seed, decimals=9):
    rng = np.random.default_rng(seed)
    score = np.round(np.concatenate([rng.normal(size=n_in), rng.normal(distance, 1, n_ood)]), decimals)
    return score, np.arange(n_in + n_ood) >= n_in


def binormal(n_in, n_ood, distance):
    """AUROC, AUPR and FPR95 of endless images."""
    grid = np.linspace(-10, 14, 100_001)
    true, flagged = n_ood * norm.sf(grid, distance), n_in * norm.sf(grid)
    precision = true / np.maximum(true + flagged, 1e-300)
    aupr = np.trapezoid(norm.pdf(grid, distance) * precision, grid)
    return norm.cdf(distance / np.sqrt(2)), aupr, norm.sf(distance + norm.ppf(0.05))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize(("n_in", "n_ood"), [(40, 7), (7, 40), (300, 90), (1, 9), (9, 1), (1, 1)])
def test_the_values_are_those_of_detection_metrics_and_lie_inside(n_in, n_ood, decimals, rule):
    score, is_ood = drawn(n_in, n_ood, 1.0, seed=n_in, decimals=decimals)
    estimates = detection_estimates(score, is_ood, fpr_rule=rule)
    assert [one.value for one in estimates] == list(detection_metrics(score, is_ood, fpr_rule=rule))
    assert tuple(one.interval for one in estimates) == metric_intervals(score, is_ood, fpr_rule=rule)
    for one in estimates:
        assert 0 <= one.interval.low <= one.value <= one.interval.high <= 1
        assert one.interval.high - one.interval.low > 0.01
        for part in one.parts.values():
            assert part.sum() == pytest.approx(0, abs=1e-9)


def test_the_variance_of_auroc_is_delongs():
    score, is_ood = drawn(200, 60, 1.0, seed=1, decimals=1)
    parts = detection_estimates(score, is_ood).auroc.parts
    assert variance_and_df(list(parts.values()))[0] == pytest.approx(delong_covariance(score[None], is_ood)[1].item())


def test_the_contributions_to_aupr_are_those_of_leaving_images_out():
    score, is_ood = drawn(60, 40, 1.0, seed=2)
    estimate = detection_estimates(score, is_ood).aupr
    for name, members in (("in_dist", np.flatnonzero(~is_ood)), ("ood", np.flatnonzero(is_ood))):
        left = np.array([detection_metrics(np.delete(score, i), np.delete(is_ood, i)).aupr for i in members])
        expected = (left.mean() - left) * (members.size - 1) / members.size
        assert np.corrcoef(estimate.parts[name], expected)[0, 1] > 0.99
        assert estimate.parts[name].std() == pytest.approx(expected.std(), rel=0.1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("decimals", [1, 9])
def test_intervals_agree_with_the_bootstrap_where_there_are_many_images(metric, decimals):
    score, is_ood = drawn(2000, 800, 1.5, seed=3, decimals=decimals)
    replicates = bootstrap_replicates(score[None], is_ood, metric, n_replicates=400)[0]
    interval = getattr(metric_intervals(score, is_ood), metric)
    width = np.subtract(*np.quantile(replicates, [0.975, 0.025]))
    assert interval.high - interval.low == pytest.approx(width, rel=0.25)


@pytest.mark.parametrize(("n_in", "n_ood", "distance"), [(50, 50, 1.5), (200, 50, 2.5), (1000, 200, 0.5)])
def test_intervals_hold_as_often_as_they_say(n_in, n_ood, distance):
    """300 sets; a coverage of 93 to 97 % lies outside of 90 to 99 % with a chance of 3 % or less."""
    expected = binormal(n_in, n_ood, distance)
    held = []
    for seed in range(300):
        intervals = metric_intervals(*drawn(n_in, n_ood, distance, seed=seed))
        held.append([low <= value <= high for (low, high), value in zip(intervals, expected, strict=True)])
    shares = np.mean(held, axis=0)
    assert (shares > 0.9).all()
    assert (shares < 0.99).all()


@pytest.mark.parametrize("rule", RULES)
def test_perfect_separation_is_no_certainty_and_more_images_are_more(rule):
    few, many = (metric_intervals(np.arange(2.0 * n), np.arange(2 * n) >= n, fpr_rule=rule) for n in (20, 200))
    for small, large, best in zip(few, many, (1, 1, 0), strict=True):
        assert best in small
        assert best in large
        assert 0.01 < large.high - large.low < small.high - small.low < 0.5


def test_a_constant_score_is_uncertain():
    intervals = metric_intervals(np.zeros(60), np.arange(60) >= 40)
    for (low, high), value in zip(intervals, (0.5, 1 / 3, 1.0), strict=True):
        assert low < value <= high
        assert high - low > 0.05


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize(("n_in", "n_ood"), [(40, 7), (7, 40), (300, 90), (1, 1)])
def test_what_is_caught_lies_in_its_interval_and_names_its_images(n_in, n_ood, decimals):
    score, is_ood = drawn(n_in, n_ood, 1.0, seed=n_in, decimals=decimals)
    found = tpr_estimate(score, is_ood, names=("test", "greens"))
    assert found.value == pytest.approx(tpr_at_fpr(score, is_ood), abs=1e-12)
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert {name: part.size for name, part in found.parts.items()} == {"test": n_in, "greens": n_ood}


def test_the_interval_of_what_is_caught_holds_as_often_as_it_says():
    truth = norm.sf(norm.isf(0.05) - 1.5)
    draws = [tpr_estimate(*drawn(400, 200, 1.5, seed=seed)).interval for seed in range(300)]
    share = np.mean([low <= truth <= high for low, high in draws])
    assert 0.92 <= share <= 0.98


@pytest.mark.parametrize("metric", METRICS)
def test_the_other_positive_class_has_the_intervals_of_the_negated_scores(metric):
    score, is_ood = drawn(80, 40, 1.0, seed=4)
    turned = getattr(metric_intervals(-score, ~is_ood), metric)
    straight = getattr(metric_intervals(score, is_ood), metric)
    if metric == "auroc":
        assert turned == pytest.approx(straight)
    else:
        assert turned != pytest.approx(straight)


def test_the_same_detector_twice_is_no_more_certain_and_another_set_is():
    score, is_ood = drawn(100, 50, 1.0, seed=5)
    one = detection_estimates(score, is_ood).auroc
    twice = mean_interval([[one, one]])
    assert twice == pytest.approx(one.interval)
    moved = detection_estimates(score, is_ood, names=("in_dist", "elsewhere")).auroc
    apart = detection_estimates(score, is_ood, names=("other", "elsewhere")).auroc
    widths = [high - low for low, high in (one.interval, mean_interval([[one, moved]]), mean_interval([[one, apart]]))]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] == pytest.approx(widths[0] / np.sqrt(2), rel=0.01)


def test_seeds_that_disagree_widen_the_interval():
    sets = [drawn(400, 200, distance, seed=6) for distance in (1.0, 1.5, 2.0)]
    steady = [[detection_estimates(*sets[1]).auroc] for _ in range(3)]
    wavering = [[detection_estimates(*one).auroc] for one in sets]
    (low, high), (lower, higher) = mean_interval(steady), mean_interval(wavering)
    assert (low, high) == pytest.approx(steady[0][0].interval)
    assert higher - lower > 3 * (high - low)


def frames(count, seed, distance=2.0):
    rng = np.random.default_rng(seed)
    for index in range(count):
        is_ood = np.arange(400) < (rng.integers(1, 40) if index % 4 else 0)
        score = rng.normal(size=400) + 0.7 * rng.normal() + is_ood * (distance + 0.7 * rng.normal())
        yield score, is_ood, np.ones(400, dtype=bool)


def pooled(given, positive_class="ood"):
    thresholds = PooledThresholds(positive_class)
    for frame in given:
        thresholds.add(*frame)
    counts = thresholds.counts(by_image=True)
    for index, frame in enumerate(given):
        counts.add(*frame, image=f"{index:03}")
    return counts


@pytest.mark.parametrize("positive_class", ["ood", "in_dist"])
def test_pooled_intervals_are_those_of_drawing_scenes(positive_class):
    """Against a bootstrap that draws whole scenes and pools their pixels; pixels alone would be far too certain."""
    given = list(frames(60, seed=7))
    estimates = pooled(given, positive_class).estimates()
    rng, replicates = np.random.default_rng(8), []
    for _ in range(150):
        chosen = [given[index] for index in rng.integers(60, size=60)]
        score, is_ood = (np.concatenate([frame[part] for frame in chosen]) for part in (0, 1))
        turned = (score, is_ood) if positive_class == "ood" else (-score, ~is_ood)
        replicates.append(detection_metrics(*turned))
    widths = np.subtract(*np.quantile(replicates, [0.975, 0.025], axis=0))
    for one, width in zip(estimates, widths, strict=True):
        low, high = one.interval
        assert low < one.value < high
        assert high - low == pytest.approx(width, rel=0.4)
    caught, chance = pooled(given, positive_class).tpr_estimate(), np.random.default_rng(9)
    drawn_again = []
    for _ in range(150):
        chosen = [given[index] for index in chance.integers(60, size=60)]
        drawn_again.append(tpr_at_fpr(*(np.concatenate([frame[part] for frame in chosen]) for part in (0, 1))))
    width = np.subtract(*np.quantile(drawn_again, [0.975, 0.025]))
    assert caught.interval.low < caught.value < caught.interval.high
    assert caught.interval.high - caught.interval.low == pytest.approx(width, rel=0.4)
    exact = pooled(given, positive_class).metrics()
    assert tuple(one.value for one in estimates) == exact


def test_pooled_intervals_need_the_images_apart_and_refuse_one_twice():
    frame = next(frames(1, seed=9, distance=1.0))
    frame[1][:5] = True
    counts = pooled([frame])
    with pytest.raises(ValueError, match="'000' was counted before"):
        counts.add(*frame, image="000")
    alone = pooled([frame]).estimates().auroc.interval
    assert alone.high - alone.low > 0.5
    plain = PooledThresholds()
    plain.add(*frame)
    second = plain.counts()
    second.add(*frame)
    with pytest.raises(ValueError, match="by_image=True"):
        second.estimates()


def test_means_over_scenes_follow_the_number_of_scenes():
    few, many = PerImageMean(), PerImageMean()
    for index, frame in enumerate(frames(80, seed=10)):
        many.add(str(index), *frame)
        if index < 20:
            few.add(str(index), *frame)
    for metric in range(3):
        small, large = (mean_over_scenes(one.values[:, metric]).interval for one in (few, many))
        assert 0 < large.high - large.low < 0.75 * (small.high - small.low)
    assert mean_over_scenes(np.ones(10)).interval == pytest.approx((10 / (10 + norm.ppf(0.975) ** 2), 1.0))


@pytest.mark.parametrize(
    ("error", "score", "is_ood"),
    [
        (OneClassError, np.zeros(4), np.zeros(4, bool)),
        (NonFiniteScoreError, np.array([1.0, np.nan]), np.array([True, False])),
        (TypeError, np.zeros(4), np.arange(4)),
        (ValueError, np.zeros(4), np.zeros(3, bool)),
    ],
)
def test_wrong_arguments_are_refused_as_by_the_metrics(error, score, is_ood):
    for function in (metric_intervals, detection_estimates, detection_metrics):
        with pytest.raises(error):
            function(score, is_ood)


@pytest.mark.parametrize("precision", [np.float16, np.float32, np.int64])
def test_infinite_scores_and_any_precision_are_ranked(precision):
    score, is_ood = drawn(60, 30, 1.0, seed=11, decimals=0)
    score = score.astype(precision)
    if precision is not np.int64:
        score[[0, 70]] = np.inf, -np.inf
    estimates = detection_estimates(score, is_ood)
    assert [one.value for one in estimates] == list(detection_metrics(score, is_ood))
    assert all(np.isfinite(one.interval).all() for one in estimates)
