"""Virtual-logit matching: the authors' formula in numpy, pytorch-ood, and what has no meaning."""

import re

import numpy as np
import pytest
import torch
from pytorch_ood.detector import ViM
from scipy.special import logsumexp

from scaling_ood.detectors import LinearHead, NotApplicableError, Outputs, OutputsList, build_detector

RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.standard_normal((5, 12)), RNG.standard_normal(5)
MIXING = RNG.standard_normal((12, 12)) * np.logspace(0, -1, 12)
HEAD = LinearHead(torch.tensor(WEIGHT), torch.tensor(BIAS))


def features_of(images, seed):
    return np.random.default_rng(seed).standard_normal((images, 12)) @ MIXING.T


def outputs(features):
    return Outputs(torch.tensor(features @ WEIGHT.T + BIAS), torch.tensor(features))


def fit(features, head=HEAD, **options):
    parts = np.array_split(features, 3)
    return build_detector("vim", **options).fit(OutputsList([outputs(part) for part in parts], head=head))


def by_the_authors_formula(fitted, tests, principal):
    origin = -np.linalg.pinv(WEIGHT) @ BIAS
    covariance = (fitted - origin).T @ (fitted - origin) / len(fitted)
    values, vectors = np.linalg.eig(covariance)
    residual = vectors[:, np.argsort(-values)[principal:]]
    lengths = np.linalg.norm((fitted - origin) @ residual, axis=1)
    scale = (fitted @ WEIGHT.T + BIAS).max(axis=1).mean() / lengths.mean()
    virtual = np.linalg.norm((tests - origin) @ residual, axis=1) * scale
    return virtual - logsumexp(tests @ WEIGHT.T + BIAS, axis=1), scale


@pytest.mark.parametrize("principal", [1, 6, 11])
def test_equals_the_authors_formula(principal):
    fitted, tests = features_of(300, 1), features_of(40, 2)
    expected, scale = by_the_authors_formula(fitted, tests, principal)
    detector = fit(fitted, dimensions=principal)
    np.testing.assert_allclose(detector.score(outputs(tests)), expected, rtol=1e-9)
    assert detector.diagnostics() == {
        "principal_directions": principal,
        "residual_directions": 12 - principal,
        "virtual_logit_scale": pytest.approx(scale),
        "fit_images": 300,
    }


def test_a_large_offset_of_stored_features_cancels():
    fitted, tests = (np.float32(features_of(300, seed) + 1e3 * np.arange(1, 13)) for seed in (9, 10))
    parts = [Outputs(torch.ones(300, 5), torch.tensor(each)) for each in (fitted, tests)]
    detector = build_detector("vim", dimensions=6).fit(OutputsList([parts[0]], head=HEAD))
    origin = -np.linalg.pinv(WEIGHT) @ BIAS
    around, others = (each.astype(float) - origin for each in (fitted, tests))
    lengths = np.linalg.norm(others @ np.linalg.eigh(around.T @ around)[1][:, :6], axis=1)
    expected = lengths * detector.diagnostics()["virtual_logit_scale"]
    np.testing.assert_allclose(detector.score(parts[1]) + 1 + np.log(5), expected, rtol=1e-5)


def test_equals_pytorch_ood():
    fitted, tests = features_of(300, 3), features_of(40, 4)
    theirs = ViM(None, d=6, w=HEAD.weight, b=HEAD.bias).fit_features(torch.tensor(fitted), torch.zeros(300))
    expected = theirs.predict_features(torch.tensor(tests))
    np.testing.assert_allclose(fit(fitted, dimensions=6).score(outputs(tests)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("width", "principal"), [(12, 6), (767, 383), (768, 512), (1023, 512), (1280, 512), (2047, 512)]
)
def test_default_dimensions(width, principal):
    """1,000 from 2,048 on, which would take a minute here."""
    images = principal + 1
    features = torch.rand(images, width, generator=torch.Generator().manual_seed(0))
    head = LinearHead(torch.rand(2, width), torch.zeros(2))
    view = OutputsList([Outputs(features[:, :2], features)], head=head)
    assert build_detector("vim").fit(view).diagnostics()["principal_directions"] == principal


def test_as_many_images_as_principal_directions_are_too_few():
    with pytest.raises(NotApplicableError, match=r"^too few fit images \(6; at least 7\)$"):
        fit(features_of(6, 5))
    fit(features_of(7, 5))


def test_features_without_residual_are_a_gap():
    fitted = features_of(50, 6)
    fitted[:, 4:] = 0
    head = LinearHead(torch.tensor(WEIGHT[:, :]), torch.zeros(5, dtype=torch.float64))
    with pytest.raises(NotApplicableError, match="the 6 principal directions explain the fit images wholly"):
        fit(fitted, head=head)


def test_negative_logits_are_a_gap():
    fitted = features_of(50, 7)
    lowered = Outputs(outputs(fitted).logits - 100, torch.tensor(fitted))
    with pytest.raises(NotApplicableError, match="largest logits of the fit images are negative on average"):
        build_detector("vim").fit(OutputsList([lowered], head=HEAD))


@pytest.mark.parametrize("dimensions", [0, 2.5, "all"])
def test_dimensions_out_of_range(dimensions):
    message = f"dimensions must be an integer of at least 1, or none, not {dimensions!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector("vim", dimensions=dimensions)


def test_as_many_dimensions_as_the_features_have():
    with pytest.raises(ValueError, match="dimensions must be under the 12 of the features, not 12"):
        fit(features_of(50, 8), dimensions=12)
