"""Per-image metrics: void pixels, images without both classes, errors that name the image, means and merging."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_ood.metrics import (
    DetectionMetrics,
    NonFiniteScoreError,
    NothingToAverageError,
    PerImageMean,
    detection_metrics,
    image_metrics,
    tpr_at_fpr,
)

EVERYWHERE = np.ones((4, 6), dtype=bool)


def frame(seed, shape=(20, 30), ood=0.05, void=0.1, dtype=np.float32):
    rng = np.random.default_rng(seed)
    is_ood, valid = rng.random(shape) < ood, rng.random(shape) >= void
    return (rng.normal(size=shape) + is_ood).astype(dtype), is_ood, valid


@pytest.mark.parametrize("positive_class", ["ood", "in_dist"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("recall", "fpr_rule"), [(0.95, "nearest"), (0.8, "first")])
def test_equals_the_metrics_of_the_valid_pixels(positive_class, dtype, recall, fpr_rule):
    score, is_ood, valid = frame(0, dtype=dtype)
    kept, mask = score[valid], is_ood[valid]
    expected = detection_metrics(kept, mask, recall, fpr_rule)
    if positive_class == "in_dist":
        expected = detection_metrics(-kept, ~mask, recall, fpr_rule)
    options = {"positive_class": positive_class, "recall": recall, "fpr_rule": fpr_rule}
    assert image_metrics(score, is_ood, valid, **options) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_what_lies_in_the_void_does_not_matter(pixels):
    score, is_ood, valid = (np.array(column) for column in zip(*pixels, strict=True))
    score = score.astype(float)
    expected = image_metrics(score, is_ood, valid)
    assert image_metrics(np.where(valid, score, np.nan), is_ood ^ ~valid, valid) == expected
    both = {True, False} <= set(is_ood[valid].tolist())
    assert (expected is not None) == both
    if both:
        assert expected == detection_metrics(score[valid], is_ood[valid])


@pytest.mark.parametrize(
    ("is_ood", "valid", "reason"),
    [
        (~EVERYWHERE, EVERYWHERE, "no OOD pixel"),
        (EVERYWHERE, EVERYWHERE, "only OOD pixels"),
        (EVERYWHERE, ~EVERYWHERE, "only void"),
        (np.arange(24).reshape(4, 6) == 0, np.arange(24).reshape(4, 6) > 0, "no OOD pixel"),
    ],
)
def test_an_image_without_both_classes_is_skipped_and_named(is_ood, valid, reason):
    assert image_metrics(np.zeros((4, 6)), is_ood, valid) is None
    for positive_class in ("ood", "in_dist"):
        mean = PerImageMean(positive_class)
        assert mean.add("a.png", np.zeros((4, 6)), is_ood, valid) is None
        assert mean.skipped == {"a.png": reason}
        assert mean.results == {}


def test_nan_names_image_count_and_place():
    score, is_ood = np.zeros((4, 6)), np.arange(24).reshape(4, 6) < 5
    score[1, 2] = score[3, 0] = np.nan
    valid = EVERYWHERE.copy()
    valid[0] = False
    message = r"2 of 18 scores of image street/07.png are NaN \(the first at index 8\)"
    with pytest.raises(NonFiniteScoreError, match=message) as caught:
        PerImageMean().add("street/07.png", score, is_ood, valid)
    assert (caught.value.n_nan, caught.value.n_scores) == (2, 18)


def test_infinite_scores_have_a_rank():
    score = np.array([-np.inf, 0.0, np.inf])
    assert image_metrics(score, np.array([False, False, True]), np.ones(3, bool)) == (1, 1, 0)


@pytest.mark.parametrize(
    ("error", "message", "changes"),
    [
        (ValueError, r"same shape, got \(4, 6\), \(6, 4\) and \(4, 6\) \(image x\)", {"is_ood": EVERYWHERE.T}),
        (ValueError, r"and \(24,\) \(image x\)", {"valid": EVERYWHERE.ravel()}),
        (TypeError, "valid boolean, got float64, int64", {"valid": EVERYWHERE.astype(np.int64)}),
        (TypeError, "is_ood must be boolean", {"is_ood": EVERYWHERE.astype(np.uint8)}),
        (TypeError, "must be floating point and valid boolean, got uint8", {"score": EVERYWHERE.astype(np.uint8)}),
        (TypeError, "real numbers, got complex128", {"score": EVERYWHERE.astype(complex)}),
        (ValueError, "did you mean 'ood'", {"positive_class": "odd"}),
    ],
)
def test_wrong_arguments_are_named(error, message, changes):
    arguments = {"score": np.zeros((4, 6)), "is_ood": EVERYWHERE, "valid": EVERYWHERE, "image": "x"} | changes
    with pytest.raises(error, match=message):
        image_metrics(**arguments)


@pytest.mark.parametrize("positive_class", ["ood", "in_dist"])
def test_the_mean_is_over_the_images_that_have_both_classes(positive_class):
    mean = PerImageMean(positive_class)
    frames = {f"{seed}.png": frame(seed) for seed in range(5)}
    singles = [image_metrics(*parts, positive_class=positive_class) for parts in frames.values()]
    for name, parts in frames.items():
        mean.add(name, *parts)
    mean.add("empty.png", *frame(9, ood=0))
    assert list(mean.results) == list(frames)
    assert mean.skipped == {"empty.png": "no OOD pixel"}
    np.testing.assert_array_equal(mean.values, singles)
    assert mean.mean() == pytest.approx(np.mean(singles, axis=0), abs=1e-15)
    assert isinstance(mean.mean(), DetectionMetrics)
    share = np.mean([mask[valid].mean() for _, mask, valid in frames.values()])
    assert mean.base_rate() == pytest.approx(share if positive_class == "ood" else 1 - share)
    for one, (score, mask, valid) in zip(mean.results.values(), frames.values(), strict=True):
        assert (one.n_in, one.n_ood) == ((~mask & valid).sum(), (mask & valid).sum())
        assert one.tpr == tpr_at_fpr(score[valid], mask[valid])


def test_means_of_two_processes_merge():
    whole, parts = PerImageMean(), [PerImageMean(), PerImageMean()]
    for seed in range(6):
        pixels = frame(seed, ood=0 if seed == 4 else 0.05)
        whole.add(f"{seed}", *pixels)
        parts[seed >= 3].add(f"{seed}", *pixels)
    parts[0].merge(parts[1])
    assert (parts[0].results, parts[0].skipped) == (whole.results, whole.skipped)
    assert parts[0].mean() == whole.mean()


def test_no_image_counts_twice():
    first, second = PerImageMean(), PerImageMean()
    first.add("a", *frame(0))
    second.add("a", *frame(0, ood=0))
    with pytest.raises(ValueError, match="Image a was measured before"):
        first.add("a", *frame(1))
    with pytest.raises(ValueError, match="Image a was measured before"):
        first.merge(second)
    with pytest.raises(ValueError, match="different options cannot be merged"):
        first.merge(PerImageMean("in_dist"))


def test_no_mean_of_nothing():
    mean = PerImageMean()
    with pytest.raises(NothingToAverageError, match=r"None of 0 images .*\(no image\)"):
        mean.mean()
    for seed in range(3):
        mean.add(f"{seed}", *frame(seed, ood=0))
    mean.add("v", *frame(3, void=1.1))
    with pytest.raises(NothingToAverageError, match=r"None of 4 images .*\(3 with no OOD pixel, 1 with only void\)"):
        mean.base_rate()
    assert mean.values.shape == (0, 3)
