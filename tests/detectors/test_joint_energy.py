"""Joint energy: hand values, scipy, no overflow, and its kinship with free energy."""

import math

import numpy as np
import pytest
import torch
from scipy.special import log_expit

from scaling_ood.detectors import Outputs, build_detector


def score(logits, name="joint_energy"):
    return build_detector(name).score(Outputs(logits))


def test_hand_values():
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(1), math.log(3), math.log(7)]], dtype=torch.float64)
    assert score(logits).tolist() == pytest.approx([-3 * math.log(2), -math.log(2 * 4 * 8)], rel=1e-12)


@pytest.mark.parametrize("shape", [(40, 12), (3, 12, 4, 5)])
def test_equals_scipy(shape):
    logits = 30 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(score(logits), log_expit(-logits.numpy()).sum(axis=1), rtol=1e-12)


def test_each_class_is_a_binary_classifier_with_a_free_energy_of_its_own(chunk):
    logits = chunk.logits.double()
    each = [score(torch.stack([column, torch.zeros_like(column)], dim=1), "energy") for column in logits.T]
    torch.testing.assert_close(score(logits), torch.stack(each).sum(dim=0))


def test_large_logits_do_not_overflow():
    assert score(torch.tensor([[3e4, -3e4], [-3e4, -3e4]])).tolist() == [-3e4, 0.0]
