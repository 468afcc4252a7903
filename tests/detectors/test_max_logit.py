"""MaxLogit: hand values and pytorch-ood."""

import pytest
import torch
from pytorch_ood.detector import MaxLogit

from scaling_ood.detectors import Outputs, build_detector


def score(logits):
    return build_detector("max_logit").score(Outputs(logits))


def test_hand_values():
    logits = torch.tensor([[1.0, 3.0, 2.0], [-5.0, -7.0, -6.0], [0.5, 0.5, 0.5]])
    assert score(logits).tolist() == [-3.0, 5.0, -0.5]


@pytest.mark.parametrize("shape", [(40, 12), (3, 12, 4, 5)])
def test_equals_pytorch_ood(shape):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(score(logits), MaxLogit.score(logits))


def test_a_constant_added_to_all_logits_is_seen(chunk):
    """Unlike every score that is made of the softmax."""
    torch.testing.assert_close(score(chunk.logits + 2), score(chunk.logits) - 2)
