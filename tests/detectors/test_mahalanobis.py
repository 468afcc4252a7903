"""Mahalanobis distance: scipy pair by pair, scikit-learn's shrinkage, pytorch-ood, and the paper's NaN."""

import re

import numpy as np
import pytest
import torch
from pytorch_ood.detector import Mahalanobis
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

from scaling_ood.detectors import NotApplicableError, Outputs, OutputsList, build_detector


def features_of(images, width, classes, seed, spread=3.0):
    """Correlated features around class means, and their classes."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((width, width))
    labels = np.arange(images) % classes
    means = spread * np.random.default_rng(98).standard_normal((classes, width))
    return means[labels] + rng.standard_normal((images, width)) @ mixing, labels


def fit(features, labels, **options):
    parts = torch.as_tensor(features).split(37)
    view = OutputsList([Outputs(torch.zeros(len(part), 2), part) for part in parts], targets=torch.as_tensor(labels))
    return build_detector("mahalanobis", **options).fit(view)


def score(detector, features):
    tensor = torch.as_tensor(features)
    return detector.score(Outputs(torch.zeros(len(tensor), 2), tensor)).numpy()


def residuals(features, labels):
    means = {k: features[labels == k].mean(axis=0) for k in np.unique(labels)}
    return np.stack([row - means[k] for row, k in zip(features, labels, strict=True)]), list(means.values())


@pytest.mark.parametrize(
    ("shrinkage", "estimator"),
    [
        (0.0, EmpiricalCovariance(assume_centered=True)),
        ("ledoit_wolf", LedoitWolf(assume_centered=True)),
    ],
)
@pytest.mark.parametrize(("images", "width", "classes"), [(200, 6, 4), (90, 40, 7)])
def test_equals_scipy_with_scikit_learns_covariance(shrinkage, estimator, images, width, classes):
    features, labels = features_of(images, width, classes, 0)
    tests, _ = features_of(30, width, classes, 1)
    centred, means = residuals(features, labels)
    precision = estimator.fit(centred).precision_
    expected = [min(mahalanobis(row, mean, precision) ** 2 for mean in means) for row in tests]
    np.testing.assert_allclose(score(fit(features, labels, shrinkage=shrinkage), tests), expected, rtol=1e-8)


@pytest.mark.parametrize(("images", "width"), [(90, 40), (2000, 5), (21, 80)])
def test_the_intensity_of_shrinkage_is_scikit_learns(images, width):
    features, labels = features_of(images, width, 7, 0)
    expected = LedoitWolf(assume_centered=True).fit(residuals(features, labels)[0]).shrinkage_
    assert fit(features, labels).diagnostics()["shrinkage"] == pytest.approx(expected, rel=1e-10)
    assert 0 < expected < 1


def test_ranks_as_pytorch_ood():
    """Their scores are halved, of the sum in place of the mean, and in single precision."""
    features, labels = features_of(400, 6, 4, 2)
    tests, _ = features_of(60, 6, 4, 3)
    theirs = Mahalanobis(None).fit_features(torch.tensor(features).float(), torch.tensor(labels))
    expected = 2 * len(features) * theirs.predict_features(torch.tensor(tests).float()).numpy()
    np.testing.assert_allclose(score(fit(features, labels, shrinkage=0), tests), expected, rtol=1e-3)


def test_full_shrinkage_is_euclidean():
    features, labels = features_of(60, 5, 3, 4)
    centred, means = residuals(features, labels)
    variance = (centred**2).mean()
    expected = [min(((row - mean) ** 2).sum() for mean in means) / variance for row in features]
    detector = fit(features, labels, shrinkage=1)
    np.testing.assert_allclose(score(detector, features), expected, rtol=1e-10, atol=1e-12)
    assert detector.diagnostics()["condition_number"] == 1


def naive(features, labels, tests):
    """As it is often written: single precision, mean of the squares minus square of the mean, plain inverse."""
    features, tests = features.float(), tests.float()
    means = torch.stack([features[labels == k].mean(dim=0) for k in labels.unique()])
    covariance = features.T @ features / len(features) - means[labels].T @ means[labels] / len(features)
    chosen = torch.linalg.inv_ex(covariance).inverse
    distances = torch.stack([((tests - mean) @ chosen * (tests - mean)).sum(dim=1) for mean in means])
    return distances.amin(dim=0).sqrt()


@pytest.mark.parametrize("case", ["dead unit", "more units than images", "narrow units"])
def test_the_papers_nan_on_degenerate_features(case):
    """The naive route has NaN where units never fire, images are few, or units hardly vary around their mean."""
    features, labels = (
        torch.tensor(x) for x in features_of(500 if case != "more units than images" else 50, 64, 10, 5)
    )
    features = features.relu()
    if case == "dead unit":
        features[:, 3] = 0
    elif case == "narrow units":
        features[:, ::2] = 1000 + features[:, ::2] / 1e5
    tests = features[:40]
    assert not naive(features, labels, tests).isfinite().all()
    for shrinkage in ("ledoit_wolf", 0.0):
        detector = fit(features, labels, shrinkage=shrinkage)
        distances = score(detector, tests)
        assert np.isfinite(distances).all()
        assert (distances > 0).all()
        assert all(np.isfinite(value) for value in detector.diagnostics().values())


def test_a_dead_unit_is_left_out_as_the_pseudo_inverse_leaves_it_out():
    features, labels = features_of(200, 6, 4, 6)
    features[:, 2] = 5.0
    detector = fit(features, labels, shrinkage=0)
    assert detector.diagnostics()["directions_left_out"] == 1
    assert detector.diagnostics()["condition_number_unshrunk"] > 1e15
    others = np.delete(features, 2, axis=1)
    np.testing.assert_allclose(score(detector, features), score(fit(others, labels, shrinkage=0), others), rtol=1e-8)


def test_classes_without_fit_images_play_no_part():
    features, labels = features_of(120, 5, 3, 7)
    far = labels * 1000 + 7
    detector = fit(features, far)
    np.testing.assert_allclose(score(detector, features), score(fit(features, labels), features), rtol=1e-12)
    assert detector.diagnostics()["classes"] == 3
    assert detector.diagnostics()["images_per_class_mean"] == 40


def test_the_condition_number_is_logged(caplog):
    with caplog.at_level("INFO"):
        detector = fit(*features_of(120, 5, 3, 8))
    number = detector.diagnostics()["condition_number"]
    assert number > 1
    assert f"condition_number {number:.4g}" in caplog.text


@pytest.mark.parametrize(("images", "classes"), [(7, 4), (0, 1)])
def test_too_few_images_are_a_gap(images, classes):
    features, labels = features_of(images, 3, classes, 9)
    there = min(images, classes)
    with pytest.raises(
        NotApplicableError, match=rf"too few fit images \({images} images of {there} classes; at least 2"
    ):
        fit(features, labels)


def test_classes_that_do_not_vary_are_a_gap():
    with pytest.raises(NotApplicableError, match="the fit images of each class have the same features"):
        fit(np.repeat(np.eye(3), 4, axis=0), np.repeat(np.arange(3), 4))


@pytest.mark.parametrize("shrinkage", [-0.1, 1.1, "oas", None, float("nan")])
def test_shrinkage_out_of_range(shrinkage):
    message = f"shrinkage must be 'ledoit_wolf' or a number from 0 to 1, not {shrinkage!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector("mahalanobis", shrinkage=shrinkage)
