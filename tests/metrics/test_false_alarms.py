"""Thresholds: the promised rate, by its exact distribution; order statistics of many scores against sorting them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from scaling_ood.metrics.false_alarms import (
    ScoreCounts,
    TooFewScoresError,
    false_alarm_threshold,
    kept_below,
    rate_bounds,
)


@pytest.mark.parametrize(("n", "rate"), [(19, 0.05), (20, 0.05), (39, 0.05), (100, 0.1), (1000, 0.01), (7, 0.3)])
def test_the_rate_of_new_scores_is_at_most_the_wanted_one_on_average(n, rate):
    kept = kept_below(n, rate)
    # The mean of Beta(n + 1 - k, k), and the highest threshold but one would promise too much.
    assert (n + 1 - kept) / (n + 1) <= rate + 1e-12
    assert (n + 2 - kept) / (n + 1) > rate


def test_the_promise_holds_in_draws():
    rng, rates = np.random.default_rng(0), []
    for _ in range(3000):
        found = false_alarm_threshold(rng.uniform(size=40), 0.1)
        rates.append(1 - found.threshold)
    assert np.mean(rates) == pytest.approx(4 / 41, abs=0.003)
    assert np.mean((np.array(rates) >= found.low) & (np.array(rates) <= found.high)) == pytest.approx(0.95, abs=0.015)


def test_the_bounds_are_those_of_the_beta_distribution():
    low, high = rate_bounds(1000, 951)
    assert (low, high) == pytest.approx(beta(50, 951).ppf([0.025, 0.975]))


def test_ties_and_infinite_scores_only_lower_the_rate():
    scores = [0.0] * 30 + [1.0] * 10
    found = false_alarm_threshold(scores, 0.2)
    assert found.threshold == 1.0
    assert false_alarm_threshold([-np.inf, *range(30)], 0.05).threshold == 29


@pytest.mark.parametrize(
    ("score", "rate", "error", "message"),
    [
        ([], 0.05, TooFewScoresError, r"5.00% false alarms takes at least 19 in-distribution scores, and there are 0"),
        ([1.0] * 18, 0.05, TooFewScoresError, "there are 18"),
        ([1.0, np.nan], 0.5, ValueError, "is NaN"),
        ([1.0], 0.0, ValueError, r"must lie in \(0, 1\)"),
        ([1.0], 1.0, ValueError, r"must lie in \(0, 1\)"),
    ],
)
def test_what_promises_nothing_is_refused(score, rate, error, message):
    with pytest.raises(error, match=message):
        false_alarm_threshold(score, rate)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False, width=32)), min_size=1, max_size=60),
    st.data(),
)
def test_order_statistics_are_those_of_sorting(values, data):
    scores = np.array(values, dtype=data.draw(st.sampled_from([np.float32, np.float64])))
    order = data.draw(st.integers(1, len(scores)))
    counts = ScoreCounts()
    for part in np.array_split(scores, 3):
        counts.add(part)
    for part in np.array_split(scores, 3):
        counts.refine(part, order)
    assert counts.total == len(scores)
    assert counts.at(order) == np.sort(scores.astype(np.float32))[order - 1]
