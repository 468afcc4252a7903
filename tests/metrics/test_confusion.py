"""The segmenter's own measures against scikit-learn and a literal count."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from scaling_ood.metrics import ConfusionMatrix

CLASSES = 5


def frames(n, seed=0, present=CLASSES):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        label = rng.integers(0, present, size=(12, 16))
        predicted = np.where(rng.random(label.shape) < 0.6, label, rng.integers(0, present, size=label.shape))
        yield predicted, label, rng.random(label.shape) < 0.8


@pytest.mark.parametrize("n", [1, 4])
def test_equals_scikit_learn(n):
    made = list(frames(n))
    matrix = ConfusionMatrix(CLASSES)
    for frame in made:
        matrix.add(*frame)
    predicted = np.concatenate([guess[valid] for guess, _, valid in made])
    label = np.concatenate([true[valid] for _, true, valid in made])
    np.testing.assert_array_equal(matrix.counts, confusion_matrix(label, predicted))
    np.testing.assert_allclose(matrix.iou(), jaccard_score(label, predicted, average=None), rtol=1e-12)
    assert matrix.mean_iou() == pytest.approx(jaccard_score(label, predicted, average="macro"))
    assert matrix.pixel_accuracy() == pytest.approx(accuracy_score(label, predicted))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1), st.booleans()), min_size=1, max_size=40
    )
)
def test_equals_a_literal_count(pixels):
    predicted, label, valid = (np.array(column) for column in zip(*pixels, strict=True))
    matrix = ConfusionMatrix(CLASSES)
    matrix.add(predicted, label, valid)
    for k in range(CLASSES):
        union = (((predicted == k) | (label == k)) & valid).sum()
        expected = ((predicted == k) & (label == k) & valid).sum() / union if union else np.nan
        assert matrix.iou()[k] == pytest.approx(expected, nan_ok=True)


def test_a_class_that_occurs_nowhere_is_left_out_of_the_mean():
    matrix = ConfusionMatrix(CLASSES)
    for frame in frames(2, present=3):
        matrix.add(*frame)
    assert np.isnan(matrix.iou()).tolist() == [False] * 3 + [True] * 2
    assert matrix.mean_iou() == pytest.approx(np.mean(matrix.iou()[:3]))


def test_a_class_that_is_only_predicted_counts_as_zero():
    matrix = ConfusionMatrix(3)
    matrix.add([0, 2], [0, 0], [True, True])
    np.testing.assert_array_equal(matrix.iou(), [0.5, np.nan, 0.0])
    assert matrix.mean_iou() == 0.25


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_void_may_hold_any_id_and_any_integer_type(dtype):
    matrix = ConfusionMatrix(20)
    label = np.array([[19, 255], [3, 255]], dtype=np.uint8)
    matrix.add(np.array([[19, 7], [3, 200]], dtype=dtype), label.astype(dtype), label != 255)
    assert (matrix.counts.sum(), matrix.pixel_accuracy(), matrix.mean_iou()) == (2, 1.0, 1.0)


def test_parts_merge():
    whole, parts = ConfusionMatrix(CLASSES), [ConfusionMatrix(CLASSES), ConfusionMatrix(CLASSES)]
    for index, frame in enumerate(frames(5)):
        whole.add(*frame)
        parts[index % 2].add(*frame)
    parts[0].merge(parts[1])
    np.testing.assert_array_equal(parts[0].counts, whole.counts)
    with pytest.raises(ValueError, match="5 here, 4 there"):
        whole.merge(ConfusionMatrix(4))


def test_nothing_counted_is_no_number():
    matrix = ConfusionMatrix(2)
    matrix.add([[1]], [[255]], [[False]])
    for measure in (matrix.mean_iou, matrix.pixel_accuracy):
        with pytest.raises(ValueError, match="No valid pixel was counted"):
            measure()


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "label must lie in 0..2, but valid pixels have [-1, 3]", ([0, 1, 2], [3, -1, 0], [True] * 3)),
        (ValueError, "predicted must lie in 0..2, but valid pixels have [7]", ([0, 7, 2], [0, 1, 0], [True] * 3)),
        (ValueError, "same shape, got (2,), (1,), (2,)", ([0, 1], [1], [True, True])),
        (TypeError, "label must hold integer class ids, got float64", ([0], [1.0], [True])),
        (TypeError, "predicted must hold integer class ids, got bool", ([True], [1], [True])),
        (TypeError, "valid must be boolean, got int64", ([0], [1], [1])),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_counted(error, message, arguments):
    matrix = ConfusionMatrix(3)
    with pytest.raises(error, match=re.escape(message)):
        matrix.add(*arguments)
    assert not matrix.counts.any()


def test_there_is_at_least_one_class():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ConfusionMatrix(0)
