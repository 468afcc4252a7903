"""Places of scores among thresholds: those of a sorted look-up, for any distribution, here and as tensors."""

import numpy as np
import pytest
import torch

from scaling_ood.metrics.places import Places, Tally

N = 60_000
SHAPES = {
    "normal": lambda rng: rng.normal(size=N),
    "saturated": lambda rng: -1 / (1 + np.exp(-5 * rng.normal(size=N) - 6)),
    "logarithmic": lambda rng: np.exp(-60 * rng.random(N)),
    "tied": lambda rng: np.round(rng.normal(size=N), 2),
    "crowded": lambda rng: np.where(rng.random(N) < 0.5, 1 + 1e-6 * rng.random(N), 1e3 * rng.random(N)),
    "infinite": lambda rng: np.where(rng.random(N) < 0.1, rng.choice([-np.inf, np.inf], N), rng.normal(size=N)),
    "huge": lambda rng: np.where(rng.random(N) < 0.1, rng.choice([-3e38, 3e38], N), rng.normal(size=N)),
    "denormal": lambda rng: rng.integers(-50, 50, N) * 1e-45,
}


def counted(found, size):
    """Scores by place, of all places: what `Found` says of those that occur."""
    histograms = []
    for part in found:
        places, counts = (np.asarray(each) for each in part)
        assert (np.diff(places) > 0).all()
        assert (counts > 0).all()
        histograms.append(np.zeros(size + 1, np.int64))
        histograms[-1][places] = counts
    return histograms


def looked_up(scores, thresholds):
    places = np.searchsorted(thresholds, scores, "right")
    equal = np.isin(scores, thresholds)
    return np.bincount(places, minlength=len(thresholds) + 1), np.bincount(places[equal], minlength=len(thresholds) + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [1, 50, 5_000, N])
@pytest.mark.parametrize("shape", SHAPES)
def test_places_are_those_of_a_look_up(shape, share, dtype):
    rng = np.random.default_rng(0)
    with np.errstate(under="ignore"):
        scores, others = (SHAPES[shape](rng).astype(dtype) for _ in range(2))
    thresholds = np.unique(np.concatenate([others[: share // 2 + 1], rng.choice(scores, share // 2 + 1)]))
    places, expected = Places(thresholds), looked_up(scores, thresholds)
    some = np.unique(rng.integers(0, len(thresholds), 20))
    for found in (places.find(scores), places._find_in_order(scores), places._find_on_device(torch.from_numpy(scores))):
        for mine, theirs in zip(counted(found, len(thresholds)), expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        above, at_least = found.tails(some)
        np.testing.assert_array_equal(above, [(scores > at).sum() for at in thresholds[some]])
        np.testing.assert_array_equal(at_least, [(scores >= at).sum() for at in thresholds[some]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_found_among_the_thresholds_or_not(dtype):
    thresholds = np.array([-np.inf, -1, 0, 2], dtype)
    places = Places(thresholds)
    assert places.index_of(thresholds[[0, 2, 3]]).tolist() == [0, 2, 3]
    for strange in ([0, 1], [3], [-2]):
        assert places.index_of(np.array(strange, dtype)) is None
    assert places.index_of(thresholds[:0]).tolist() == []
    assert Places(thresholds[:0]).index_of(thresholds) is None


def test_no_threshold_and_no_score():
    for thresholds, scores in ((np.empty(0, np.float32), np.ones(3, np.float32)), (np.ones(1), np.empty(0))):
        places = Places(thresholds)
        for found in (places.find(scores), places._find_on_device(torch.from_numpy(scores))):
            (reached, counts), (equal, _) = found
            assert (reached.tolist(), counts.tolist()) == (([0], [len(scores)]) if len(scores) else ([], []))
            assert equal.tolist() == []


def test_a_tally_of_tensors_is_that_of_arrays_and_they_merge():
    rng = np.random.default_rng(1)
    thresholds = np.unique(np.round(rng.normal(size=500), 2))
    places = Places(thresholds)
    parts = [np.round(rng.normal(size=size), 2) for size in (10, 3_000)]
    here, there = Tally(len(thresholds)), Tally(len(thresholds))
    for part in parts:
        here.add(places.find(part))
        there.add(places._find_on_device(torch.from_numpy(part)))
    every = np.concatenate(parts)
    for above, at_least in (here.tails(), there.tails()):
        np.testing.assert_array_equal(above, [(every > at).sum() for at in thresholds])
        np.testing.assert_array_equal(at_least, [(every >= at).sum() for at in thresholds])
    here.merge(there)
    np.testing.assert_array_equal(here.tails()[1], 2 * there.tails()[1])
