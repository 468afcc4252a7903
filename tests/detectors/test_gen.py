"""Generalised entropy: 60 digits, the authors' formula, pytorch-ood, and confident images that do not tie."""

import re

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_ood.detector import GEN
from scipy.special import softmax

from scaling_ood.detectors import Outputs, build_detector


def score(logits, dtype=torch.float64, **options):
    return build_detector("gen", **options).score(Outputs(torch.as_tensor(logits, dtype=dtype)))


def exact(row, gamma, top):
    with mpmath.workdps(200):
        terms = [mpmath.exp(mpmath.mpf(value)) for value in row]
        total = mpmath.fsum(terms)
        found = sorted(terms, reverse=True)[:top]
        # 1 - p of the first class is the sum of the others, which 200 digits hold only up to a margin of 460.
        order = sorted(range(len(row)), key=lambda k: -row[k])[:top]
        rests = [mpmath.fsum(terms[j] for j in range(len(row)) if j != k) for k in order]
        return float(mpmath.fsum((p * q / total**2) ** gamma for p, q in zip(found, rests, strict=True)))


@given(st.lists(st.floats(-200, 200, width=32), min_size=2, max_size=6), st.integers(1, 7))
def test_equals_many_digits(row, top):
    for dtype, rtol in ((torch.float64, 1e-11), (torch.float32, 1e-4)):
        assert score([row], dtype, top=top).item() == pytest.approx(exact(row, 0.1, top), rel=rtol)


@pytest.mark.parametrize(("gamma", "top"), [(0.1, 5), (0.5, 12), (0.9, 100)])
def test_equals_the_authors_formula(gamma, top):
    logits = torch.randn(50, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p = np.sort(softmax(logits.numpy(), axis=1), axis=1)[:, -top:]
    expected = (p**gamma * (1 - p) ** gamma).sum(axis=1)
    np.testing.assert_allclose(score(logits, gamma=gamma, top=top), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(40, 12), (3, 12, 4, 5)])
def test_equals_pytorch_ood_where_that_does_not_clamp(shape):
    """Theirs is the mean in place of the sum, of probabilities clamped to [1e-7, 1 - 1e-7]."""
    logits = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(score(logits, top=5), 5 * GEN.score(logits, M=5))
    saturated = 40 * torch.eye(12, dtype=torch.float64)
    assert not torch.allclose(score(saturated, top=5), 5 * GEN.score(saturated, M=5), rtol=0.1)


def test_confident_images_do_not_tie():
    margins = torch.linspace(20, 800, 500)
    logits = torch.stack([margins, torch.zeros(500), torch.zeros(500)], dim=1)
    assert (score(logits, torch.float32).diff() < 0).all()


def test_top_counts_classes_and_none_takes_all():
    logits = torch.zeros(1, 8)
    share = (1 / 8 * 7 / 8) ** 0.1
    for top, count in ((1, 1), (3, 3), (8, 8), (9, 8), (None, 8)):
        assert score(logits, top=top).item() == pytest.approx(count * share)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 0}, "gamma must be a number above 0 and under 1, not 0"),
        ({"gamma": 1.0}, "gamma must be a number above 0 and under 1, not 1.0"),
        ({"top": 0}, "top must be an integer of at least 1, or none, not 0"),
        ({"top": 2.5}, "top must be an integer of at least 1, or none, not 2.5"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector("gen", **options)
