"""The average logit: hand values and exactly rounded sums."""

import math

import pytest
import torch

from scaling_ood.detectors import Outputs, build_detector


def score(logits):
    return build_detector("logit_avg").score(Outputs(logits))


def test_hand_values():
    logits = torch.tensor([[1.0, 3.0, 5.0], [-5.0, 2.0, 0.0], [0.5, 0.5, 0.5]])
    assert score(logits).tolist() == [-3.0, 1.0, -0.5]


def test_equals_exactly_rounded_sums(chunk):
    logits = chunk.logits.double()
    expected = [-math.fsum(row) / len(row) for row in logits.tolist()]
    assert score(logits).tolist() == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_half_precision_does_not_overflow():
    assert score(torch.full((1, 1000), 6e4, dtype=torch.float16)).item() == pytest.approx(-6e4, rel=1e-3)


def test_a_permutation_of_the_classes_changes_nothing(chunk):
    torch.testing.assert_close(score(chunk.logits.flip(1)), score(chunk.logits))
