"""Pooled metrics: equal to those of the concatenation, in any cut, order and process; memory that no frame adds to."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_ood.metrics import (
    DetectionMetrics,
    NonFiniteScoreError,
    OneClassError,
    PooledCounts,
    PooledThresholds,
    detection_metrics,
    pooled_metrics,
    tpr_at_fpr,
)

POSITIVE_CLASSES = ("ood", "in_dist")


def concatenated(frames, positive_class="ood", **options):
    """The metrics of all valid pixels at once."""
    score = np.concatenate([np.ravel(score)[np.ravel(valid)] for score, _, valid in frames])
    is_ood = np.concatenate([np.ravel(mask)[np.ravel(valid)] for _, mask, valid in frames])
    if positive_class == "in_dist":
        score, is_ood = -score, ~is_ood
    return detection_metrics(score, is_ood, **options)


def make_frames(n, shape=(20, 30), ood=0.05, decimals=None, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        is_ood = rng.random(shape) < ood
        score = rng.normal(size=shape) + is_ood
        score = score if decimals is None else np.round(score, decimals)
        frames.append((score.astype(dtype), is_ood, rng.random(shape) < 0.9))
    return frames


@pytest.mark.parametrize("positive_class", POSITIVE_CLASSES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_equals_the_concatenation(positive_class, dtype, decimals):
    frames = make_frames(7, decimals=decimals, dtype=dtype)
    for options in ({}, {"recall": 0.8, "fpr_rule": "first"}):
        pooled = pooled_metrics(lambda: iter(frames), positive_class=positive_class, **options)
        assert pooled == pytest.approx(concatenated(frames, positive_class, **options), rel=0, abs=1e-12)


@pytest.mark.parametrize("positive_class", POSITIVE_CLASSES)
@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_what_is_caught_equals_the_concatenation_whichever_class_is_positive(positive_class, decimals, rate):
    frames = make_frames(7, decimals=decimals)
    first = PooledThresholds(positive_class)
    for frame in frames:
        first.add(*frame)
    second = first.counts()
    for frame in frames:
        second.add(*frame)
    score, is_ood, valid = (np.concatenate([np.ravel(frame[part]) for frame in frames]) for part in range(3))
    assert second.tpr(rate) == tpr_at_fpr(score[valid], is_ood[valid], rate)


pixel = st.tuples(
    st.one_of(st.integers(-2, 2).map(float), st.floats(allow_nan=False, width=16)), st.booleans(), st.booleans()
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(pixel, max_size=12), min_size=1, max_size=5),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.sampled_from(POSITIVE_CLASSES),
)
def test_equals_the_concatenation_of_any_frames(pixels, dtype, positive_class):
    """Empty frames, frames without anomalies, all-void ones, ties, constants, infinities."""
    frames = []
    for each in pixels:
        table = np.array(each, dtype=np.float64).reshape(-1, 3)
        frames.append((table[:, 0].astype(dtype), table[:, 1] > 0, table[:, 2] > 0))
    try:
        expected = concatenated(frames, positive_class)
    except OneClassError as error:
        with pytest.raises(OneClassError) as caught:
            pooled_metrics(lambda: iter(frames), positive_class=positive_class)
        swapped = (error.n_ood, error.n_in) if positive_class == "in_dist" else (error.n_in, error.n_ood)
        assert (caught.value.n_in, caught.value.n_ood) == swapped
    else:
        pooled = pooled_metrics(lambda: iter(frames), positive_class=positive_class)
        assert pooled == pytest.approx(expected, rel=0, abs=1e-12)


def test_one_image_and_a_constant_score():
    frames = make_frames(1)
    assert pooled_metrics(lambda: iter(frames)) == concatenated(frames)
    constant = [(np.full((2, 4), 3.0), np.arange(8).reshape(2, 4) < 2, np.ones((2, 4), dtype=bool))]
    assert pooled_metrics(lambda: iter(constant)) == (0.5, 0.25, 1.0)


def test_images_without_anomalies_count():
    """Unlike in the mean over images, their pixels are negatives like all others."""
    frames = [*make_frames(2), *make_frames(3, ood=0, seed=1)]
    assert pooled_metrics(lambda: iter(frames)) == concatenated(frames)
    assert pooled_metrics(lambda: iter(frames)) != concatenated(frames[:2])


def test_precisions_may_be_mixed():
    frames = [*make_frames(2, dtype=np.float16), *make_frames(2, seed=1), *make_frames(2, dtype=np.float64, seed=2)]
    widened = [(score.astype(np.float64), mask, valid) for score, mask, valid in frames]
    assert pooled_metrics(lambda: iter(frames)) == concatenated(widened)


@pytest.mark.parametrize("positive_class", POSITIVE_CLASSES)
def test_two_processes_share_both_passes(positive_class):
    frames = make_frames(9, decimals=1)
    firsts = [PooledThresholds(positive_class), PooledThresholds(positive_class)]
    for index, frame in enumerate(frames):
        firsts[index % 2].add(*frame)
    firsts[0].merge(firsts[1])
    seconds = [firsts[0].counts(), firsts[0].counts()]
    for index, frame in enumerate(frames):
        seconds[index >= 2].add(*frame)
    seconds[1].merge(seconds[0])
    assert seconds[1].metrics() == concatenated(frames, positive_class)
    ood = sum(int((mask & valid).sum()) for _, mask, valid in frames)
    assert (seconds[1].n_in, seconds[1].n_ood) == (sum(int(valid.sum()) for *_, valid in frames) - ood, ood)


def test_counts_of_other_thresholds_do_not_merge():
    first, other = PooledThresholds(), PooledThresholds()
    first.add(*make_frames(1)[0])
    other.add(*make_frames(1, seed=1)[0])
    with pytest.raises(ValueError, match="both need the same first pass"):
        first.counts().merge(other.counts())
    with pytest.raises(ValueError, match="Other positive class: ood here, in_dist there"):
        first.merge(PooledThresholds("in_dist"))


def test_a_second_pass_over_other_frames_is_an_error():
    passes = iter([make_frames(3), make_frames(2)])
    with pytest.raises(ValueError, match=r"passes saw different frames: \d+ pixels of the positive class \(ood\)"):
        pooled_metrics(lambda: iter(next(passes)))


@pytest.mark.parametrize("bad", [0, 2])
def test_nan_names_the_frame(bad):
    frames = make_frames(3)
    frames[bad][0][:] = np.nan
    with pytest.raises(NonFiniteScoreError, match=rf"scores of image frame {bad} are NaN"):
        pooled_metrics(lambda: iter(frames))


def test_no_frame_at_all():
    with pytest.raises(OneClassError, match="0 in-distribution and 0 OOD"):
        pooled_metrics(lambda: iter([]))


def test_input_is_not_changed():
    frames = make_frames(2)
    before = [tuple(part.copy() for part in frame) for frame in frames]
    pooled_metrics(lambda: iter(frames))
    for frame, copies in zip(frames, before, strict=True):
        for part, copy in zip(frame, copies, strict=True):
            np.testing.assert_array_equal(part, copy)


def test_counts_do_not_overflow_at_the_size_of_a_whole_benchmark():
    """1.4e9 pixels, 1.2e7 of them anomalous: the sum over pairs is 3e16."""
    counts = PooledCounts(np.array([0.0, 1.0]), np.array([6_000_000, 6_000_000]))
    counts.add(np.array([-1.0, 0.5]), np.zeros(2, bool), np.ones(2, bool))
    counts.n_positive, counts.n_negative = 12_000_000, 1_400_000_000
    counts._tally.reached[:] = [700_000_000, 700_000_000, 0]
    assert counts.metrics().auroc == 0.75


@pytest.mark.parametrize("positive_class", POSITIVE_CLASSES)
@pytest.mark.parametrize("ood", [0.02, 0.98])
@pytest.mark.parametrize("others", [0, 1, 40])
def test_a_frame_is_counted_as_it_would_be_alone_and_at_the_marks(positive_class, ood, others):
    """With few thresholds and with more than the frame has pixels."""
    frames = make_frames(1 + others, ood=ood, decimals=3)
    first = PooledThresholds(positive_class)
    for frame in frames:
        first.add(*frame)
    second = first.counts(by_image=True)
    second._marks = second._marks[::7]
    for frame, mask, valid in frames[:2]:
        mirrored = positive_class == "in_dist"
        score, is_ood = (-frame[valid], ~mask[valid]) if mirrored else (frame[valid], mask[valid])
        placed = second.place(score[is_ood], score[~is_ood])
        alone = DetectionMetrics(placed.alone.auroc(), placed.alone.aupr(), placed.alone.fpr())
        assert alone == detection_metrics(score, is_ood)
        edges = np.append(second.thresholds[second._marks], np.inf)
        assert placed.by_mark[0].tolist() == np.histogram(score[is_ood], edges)[0].tolist()
        assert placed.by_mark[1].tolist() == np.histogram(score[~is_ood], np.append(-np.inf, edges))[0].tolist()


def test_a_frame_that_the_first_pass_did_not_see_is_counted_alone_all_the_same():
    (seen, *_), (score, is_ood, _) = make_frames(1, ood=0.3), make_frames(1, seed=1)[0]
    for thresholds in (np.unique(seen), np.empty(0, np.float32)):
        placed = PooledCounts(thresholds, np.ones(len(thresholds), np.int64)).place(score[is_ood], score[~is_ood])
        assert placed.alone.auroc() == detection_metrics(score, is_ood).auroc


@pytest.mark.parametrize("missing", [True, False])
def test_a_frame_of_one_class_has_no_counts_of_its_own(missing):
    score, is_ood, _ = make_frames(1)[0]
    first = PooledThresholds()
    first.add(score, is_ood, np.ones_like(is_ood))
    picked = score[is_ood][:0] if missing else score[is_ood], score[~is_ood] if missing else score[~is_ood][:0]
    assert first.counts().place(*picked).alone is None


def peak_bytes(n_frames, anomalous_in):
    """Peak memory beyond what was there, of frames of 160 x 200 that are made one at a time."""
    shape, n_anomalous = (160, 200), 4000

    def frames():
        for index in range(n_frames):
            rng = np.random.default_rng(index)
            is_ood = np.zeros(shape, dtype=bool)
            if index < anomalous_in:
                is_ood.ravel()[: n_anomalous // anomalous_in] = True
            yield rng.normal(size=shape).astype(np.float32), is_ood, np.ones(shape, dtype=bool)

    tracemalloc.start()
    pooled_metrics(frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, n_anomalous, shape[0] * shape[1]


def test_memory_is_bounded_by_the_anomalous_pixels():
    """Frames without anomalies add nothing; in all, 90 bytes per anomalous pixel and 60 per pixel of one frame."""
    few, n_anomalous, frame_pixels = peak_bytes(10, anomalous_in=10)
    many, _, _ = peak_bytes(100, anomalous_in=10)
    assert many < 1.02 * few
    assert many < 90 * n_anomalous + 60 * frame_pixels
    assert many < 100 * frame_pixels * 4 / 5  # the scores alone
