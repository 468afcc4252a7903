"""Rotation: how its loss is made, the loss as it is, and with the posterior as the method's authors add it."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import entropy

from scaling_ood.detectors import Given, MissingOutputError, Outputs, build_detector
from scaling_ood.detectors.rotation import RotationLoss, turned


def test_the_loss_is_made_of_the_four_turned_images():
    weight = torch.randn(3 * 4 * 4, 4, generator=torch.Generator().manual_seed(0))
    images = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    seen = []

    def network(inputs):
        seen.append(inputs)
        return {"rotations": inputs.flatten(1) @ weight}

    made = RotationLoss().make(Given(network, images, encoded=None, outputs=network(images)))
    assert len(seen) == 4  # the upright pass is not repeated
    turns = [np.rot90(images.numpy(), quarter, axes=(2, 3)).reshape(5, -1) @ weight.numpy() for quarter in range(4)]
    expected = -np.mean([log_softmax(turn, axis=1)[:, quarter] for quarter, turn in enumerate(turns)], axis=0)
    assert made.dtype == torch.float64
    np.testing.assert_allclose(made, expected, rtol=1e-4)


def test_only_square_images():
    with pytest.raises(ValueError, match="only square images can be turned, not 4 x 6"):
        turned(torch.zeros(1, 3, 4, 6), 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_is_the_loss(dtype):
    loss = torch.tensor([0.0, 0.5, 3.25], dtype=dtype)
    assert build_detector("rotation").score(Outputs(torch.zeros(3, 2), rotation_loss=loss)).tolist() == [0, 0.5, 3.25]


def test_with_the_posterior():
    logits = 3 * torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    uniform = [entropy(np.full(6, 1 / 6), row) for row in logits.softmax(dim=1).numpy()]
    detector = build_detector("rotation", with_posterior=True)
    assert detector.needs == {RotationLoss(), "logits"}
    np.testing.assert_allclose(detector.score(Outputs(logits, rotation_loss=loss)), loss.numpy() - uniform, rtol=1e-10)


def test_without_the_loss():
    with pytest.raises(MissingOutputError, match="detector 'rotation' reads 'rotation_loss'"):
        build_detector("rotation").score(Outputs(torch.zeros(3, 2)))


def test_option_out_of_range():
    with pytest.raises(ValueError, match="with_posterior must be true or false, not 'yes'"):
        build_detector("rotation", with_posterior="yes")
