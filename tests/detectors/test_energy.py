"""Free energy: hand values, scipy, pytorch-ood, limits of the temperature."""

import math
import re

import numpy as np
import pytest
import torch
from pytorch_ood.detector import EnergyBased
from scipy.special import logsumexp

from scaling_ood.detectors import Outputs, build_detector


def score(logits, **options):
    return build_detector("energy", **options).score(Outputs(logits))


def test_hand_values():
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(2), math.log(5), math.log(3)]], dtype=torch.float64)
    assert score(logits).tolist() == pytest.approx([-math.log(3), -math.log(10)], rel=1e-12)
    halves = torch.zeros(1, 4, dtype=torch.float64)
    assert score(halves, temperature=0.5).item() == pytest.approx(-0.5 * math.log(4), rel=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 1, 2.5, 1000.0])
def test_equals_scipy(chunk, temperature):
    logits = chunk.logits.double()
    expected = -temperature * logsumexp(logits.numpy() / temperature, axis=1)
    np.testing.assert_allclose(score(logits, temperature=temperature), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(40, 12), (3, 12, 4, 5)])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_equals_pytorch_ood(shape, temperature):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = EnergyBased.score(logits, t=temperature)
    torch.testing.assert_close(score(logits, temperature=temperature), expected, check_dtype=False)


def test_large_logits_do_not_overflow():
    assert score(torch.tensor([[3e4, 0.0], [-3e4, -4e4]])).tolist() == [-3e4, 3e4]


def test_a_low_temperature_gives_max_logit(chunk):
    torch.testing.assert_close(
        score(chunk.logits, temperature=1e-3), -chunk.logits.amax(1), rtol=0, atol=5e-3, check_dtype=False
    )


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, math.nan, math.inf, "hot", None])
def test_a_temperature_without_meaning_is_an_error(temperature):
    message = f"temperature must be a number above 0, not {temperature!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector("energy", temperature=temperature)
