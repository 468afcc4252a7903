"""Nearest neighbours: scikit-learn, pytorch-ood, blocks, copies."""

import re

import numpy as np
import pytest
import torch
from pytorch_ood.detector import KNN
from sklearn.neighbors import NearestNeighbors

from scaling_ood.detectors import NotApplicableError, Outputs, OutputsList, build_detector, nearest


def features_of(images, width, seed):
    return torch.randn(images, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).abs()


def outputs(features):
    return Outputs(torch.zeros(len(features), 2), features)


def fit(features, size=50, **options):
    return build_detector("knn", **options).fit(OutputsList(outputs(part) for part in features.split(size)))


@pytest.mark.parametrize("neighbours", [1, 10, 200])
def test_equals_scikit_learn(neighbours):
    fitted, tests = features_of(200, 9, 0), features_of(70, 9, 1)
    rows, others = (x / x.norm(dim=1, keepdim=True) for x in (tests, fitted))
    expected = NearestNeighbors(n_neighbors=neighbours).fit(others.numpy()).kneighbors(rows.numpy())[0][:, -1]
    actual = fit(fitted, neighbours=neighbours).score(outputs(tests))
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_equals_pytorch_ood():
    fitted, tests = features_of(200, 9, 2), features_of(70, 9, 3)
    theirs = KNN(None, k=7).fit_features(fitted, torch.zeros(200)).predict_features(tests)
    torch.testing.assert_close(fit(fitted, neighbours=7).score(outputs(tests)), theirs, rtol=1e-9, atol=1e-12)


def test_blocks_and_chunks_change_no_score(monkeypatch):
    fitted, tests = features_of(200, 9, 4), features_of(70, 9, 5)
    expected = fit(fitted).score(outputs(tests))
    monkeypatch.setattr(nearest, "_BLOCK", 16)  # fewer than the neighbours
    monkeypatch.setattr(nearest, "_ROWS", 11)
    torch.testing.assert_close(fit(fitted, size=64).score(outputs(tests)), expected, rtol=1e-9, atol=1e-12)


def test_the_distance_to_a_copy_keeps_its_digits():
    """In single precision, 2 - 2 cos of neighbours as near as these is rounding."""
    fitted = features_of(20, 9, 6)
    tests = torch.cat([fitted[:5], fitted[:5] + 1e-6])
    scores = fit(fitted, neighbours=1).score(outputs(tests))
    assert scores[:5].max() < 1e-7
    assert ((scores[5:] > 5e-8) & (scores[5:] < 1e-5)).all()


def test_length_does_not_count_and_no_direction_is_one_away():
    fitted, tests = features_of(30, 5, 7), features_of(8, 5, 8)
    detector = fit(fitted, neighbours=3)
    torch.testing.assert_close(detector.score(outputs(1e-30 * tests)), detector.score(outputs(tests)))
    assert detector.score(outputs(0 * tests)).tolist() == pytest.approx([1.0] * 8)
    torch.testing.assert_close(fit(1e30 * fitted, neighbours=3).score(outputs(tests)), detector.score(outputs(tests)))


def test_what_is_kept_is_a_copy_of_its_own():
    rows = features_of(30, 5, 9)
    detector = fit(rows[10:20], neighbours=2)
    before = detector.score(outputs(rows))
    rows_before = rows.clone()
    rows[10:20] = 0
    assert torch.equal(detector.score(outputs(rows_before)), before)
    assert detector.nearest.rows.untyped_storage().nbytes() == 10 * 5 * 8


def test_too_few_images_are_a_gap():
    with pytest.raises(NotApplicableError, match=r"^too few fit images \(9; at least 10\)$"):
        fit(features_of(9, 5, 10))
    assert fit(features_of(10, 5, 10)).diagnostics() == {"fit_images": 10.0}


@pytest.mark.parametrize("neighbours", [0, 2.5, None])
def test_neighbours_out_of_range(neighbours):
    message = f"neighbours must be an integer of at least 1, not {neighbours!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector("knn", neighbours=neighbours)
