"""Rotation: the loss as it is, and with the posterior as the method's authors add it."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from scaling_ood.detectors import MissingOutputError, Outputs, build_detector


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_is_the_loss(dtype):
    loss = torch.tensor([0.0, 0.5, 3.25], dtype=dtype)
    assert build_detector("rotation").score(Outputs(torch.zeros(3, 2), rotation_loss=loss)).tolist() == [0, 0.5, 3.25]


def test_with_the_posterior():
    logits = 3 * torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    uniform = [entropy(np.full(6, 1 / 6), row) for row in logits.softmax(dim=1).numpy()]
    detector = build_detector("rotation", with_posterior=True)
    assert detector.needs == {"rotation_loss", "logits"}
    np.testing.assert_allclose(detector.score(Outputs(logits, rotation_loss=loss)), loss.numpy() - uniform, rtol=1e-10)


def test_without_the_loss():
    with pytest.raises(MissingOutputError, match="detector 'rotation' reads 'rotation_loss'"):
        build_detector("rotation").score(Outputs(torch.zeros(3, 2)))


def test_option_out_of_range():
    with pytest.raises(ValueError, match="with_posterior must be true or false, not 'yes'"):
        build_detector("rotation", with_posterior="yes")
