"""ReAct: numpy, pytorch-ood, and what it does without clipping."""

import re

import numpy as np
import pytest
import torch
from pytorch_ood.detector import ReAct
from scipy.special import logsumexp

from scaling_ood.detectors import NotApplicableError, Outputs, OutputsList, build_detector

percentiles = pytest.mark.parametrize("percentile", [10.0, 90, 99.5])


@percentiles
def test_equals_numpy(view, chunk, percentile):
    features = np.concatenate([part.features for part in view])
    threshold = np.percentile(features.astype(float), percentile)
    clipped = np.minimum(chunk.features.double().numpy(), threshold)
    expected = -logsumexp(clipped @ view.head.weight.double().numpy().T, axis=1)
    detector = build_detector("react", percentile=percentile).fit(view)
    np.testing.assert_allclose(detector.score(chunk), expected, rtol=1e-6)
    assert detector.diagnostics() == {"threshold": pytest.approx(threshold, rel=1e-12)}


@percentiles
def test_equals_pytorch_ood(view, chunk, percentile):
    features = torch.cat([part.features for part in view])
    theirs = ReAct(None, view.head.logits, percentile=percentile / 100).fit_feature_maps(features, torch.zeros(180))
    expected = theirs.predict_feature_maps(chunk.features.double())
    actual = build_detector("react", percentile=percentile).fit(view).score(chunk)
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


def test_is_the_energy_of_images_without_large_activations(view, chunk):
    small = Outputs(chunk.features.double() @ view.head.weight.T / 1000, chunk.features.double() / 1000)
    actual = build_detector("react").fit(view).score(small)
    torch.testing.assert_close(actual, build_detector("energy").score(small))


def test_without_fit_images(view):
    with pytest.raises(NotApplicableError, match=r"^too few fit images \(none\)$"):
        build_detector("react").fit(OutputsList([], head=view.head))


@pytest.mark.parametrize("percentile", [0, 100, -1, "90", None])
def test_percentile_out_of_range(percentile):
    message = f"percentile must be a number above 0 and under 100, not {percentile!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector("react", percentile=percentile)
