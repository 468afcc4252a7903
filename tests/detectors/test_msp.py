"""MSP: hand values, scipy, pytorch-ood, and 60 digits where float32's own top probability is 1."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_ood.detector import MaxSoftmax
from scipy.special import log_expit, log_softmax

from scaling_ood.detectors import Outputs, build_detector


def score(logits, dtype=torch.float64):
    return build_detector("msp").score(Outputs(torch.as_tensor(logits, dtype=dtype)))


def exact(row):
    """-log of the top probability of one image, in 60 digits."""
    with mpmath.workdps(60):
        terms = [mpmath.exp(mpmath.mpf(value)) for value in row]
        return float(mpmath.log(mpmath.fsum(terms) / max(terms)))


@pytest.mark.parametrize(
    ("logits", "top_probability"),
    [
        ([0.0, 0.0], 1 / 2),
        ([0.0] * 1000, 1 / 1000),
        ([math.log(3), 0.0], 3 / 4),
        ([math.log(2), math.log(5), math.log(3)], 5 / 10),
        ([-1000.0, -1000.0, -1000.0 + math.log(2)], 2 / 4),
    ],
)
def test_hand_values(logits, top_probability):
    assert score([logits]).item() == pytest.approx(-math.log(top_probability), rel=1e-12)


def test_equals_scipy_on_ordinary_logits(chunk):
    expected = -log_softmax(chunk.logits.double().numpy(), axis=1).max(axis=1)
    np.testing.assert_allclose(score(chunk.logits), expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("shape", [(40, 12), (3, 12, 4, 5)])
def test_equals_pytorch_ood_after_the_logarithm(shape):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = -score(logits, torch.float32).neg().exp()
    torch.testing.assert_close(found, MaxSoftmax.score(logits), check_dtype=False)


@given(st.lists(st.floats(-200, 200, width=32), min_size=2, max_size=6))
def test_equals_60_digits(row):
    for dtype, rtol in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        # Under the smallest normal number, float32 keeps fewer digits.
        assert score([row], dtype).item() == pytest.approx(exact(row), rel=rtol, abs=1e-37)


def test_confident_images_do_not_tie():
    """Above a margin of 17, float32's top probability is 1 and a ranking by it is arbitrary."""
    margins = torch.linspace(20, 80, 500)
    logits = torch.stack([margins, torch.zeros(500), torch.zeros(500)], dim=1)
    assert MaxSoftmax.score(logits).unique().tolist() == [-1.0]
    scores = score(logits, torch.float32)
    assert (scores.diff() < 0).all()
    expected = [exact(row) for row in logits.tolist()]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_range_is_zero_to_log_of_the_class_count():
    scores = score(10 * np.random.default_rng(0).standard_normal((500, 7)))
    assert scores.min() >= 0
    assert scores.max() <= math.log(7)
    assert score([[1e4, 0.0, 0.0]]).item() == 0


def test_a_constant_added_to_all_logits_changes_nothing(chunk):
    shifted = score(chunk.logits.double() + 123.0)
    torch.testing.assert_close(shifted, score(chunk.logits), rtol=1e-10, atol=1e-12)


def test_sigmoid_is_max_logit_on_another_scale(chunk):
    """So it is in the released multi-label code; the softmax ranks otherwise."""
    logits = chunk.logits.double()
    sigmoid = build_detector("msp", probability="sigmoid").score(Outputs(logits))
    np.testing.assert_allclose(sigmoid, -log_expit(logits.numpy()).max(axis=1), rtol=1e-12)
    order = build_detector("max_logit").score(Outputs(logits)).argsort()
    assert torch.equal(sigmoid.argsort(), order)
    assert not torch.equal(score(logits).argsort(), order)
    assert build_detector("msp", probability="sigmoid").score(Outputs(1e4 * logits)).isfinite().all()


def test_unknown_probability():
    with pytest.raises(ValueError, match="probability must be 'softmax' or 'sigmoid', not 'softmx'; did you mean"):
        build_detector("msp", probability="softmx")
