"""Temperature scaling: scipy's minimum, pytorch-ood's, hand values, and likelihoods without a minimum."""

import math

import numpy as np
import pytest
import torch
from pytorch_ood.detector import TemperatureScaling
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from scaling_ood.detectors import NotApplicableError, Outputs, OutputsList, build_detector


def nll(logits, labels, temperature):
    posterior = log_softmax(np.asarray(logits, dtype=float) / temperature, axis=1)
    return -posterior[np.arange(len(labels)), labels].mean()


def guesses(images, classes, factor, seed):
    """Logits and labels drawn from their softmax: `factor` is the best temperature but for chance."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, classes, dtype=torch.float64, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return factor * logits, labels


def fit(logits, labels, size=64):
    view = OutputsList([Outputs(part) for part in torch.as_tensor(logits).split(size)], targets=torch.as_tensor(labels))
    return build_detector("temperature_scaling").fit(view)


@pytest.mark.parametrize("factor", [0.05, 0.7, 1.0, 3.0, 40.0])
def test_is_the_minimum_that_scipy_finds(factor):
    logits, labels = guesses(500, 8, factor, 0)
    detector = fit(logits, labels)
    best = minimize_scalar(lambda t: nll(logits, labels, math.exp(t)), bracket=(-4, 4), options={"xtol": 1e-10})
    assert detector.temperature == pytest.approx(math.exp(best.x), rel=1e-5)
    assert detector.temperature == pytest.approx(factor, rel=0.2)
    assert detector.diagnostics() == {
        "temperature": detector.temperature,
        "nll": pytest.approx(best.fun, rel=1e-12),
        "nll_unscaled": pytest.approx(nll(logits, labels, 1), rel=1e-12),
    }


def test_hand_value():
    """Right three times out of four with a margin of 1: the odds must be 3, so T is 1 / log 3."""
    detector = fit([[1.0, 0.0]] * 4, [0, 0, 0, 1])
    assert detector.temperature == pytest.approx(1 / math.log(3), rel=1e-6)
    assert detector.score(Outputs(torch.tensor([[1.0, 0.0]]))).item() == pytest.approx(math.log(4 / 3))


def test_is_no_worse_than_pytorch_ood():
    """Theirs stops after 50 small steps from 1, short of the minimum: at 1.1 where 1.4 is best."""
    logits, labels = guesses(500, 8, 1.3, 1)
    ours, theirs = fit(logits, labels).temperature, TemperatureScaling(None).fit_logits(logits, labels).t.item()
    assert 1 < theirs < ours
    assert nll(logits, labels, ours) < nll(logits, labels, theirs)


def test_the_score_is_msp_at_that_temperature(chunk):
    detector = fit(*guesses(300, 12, 2.0, 2))
    cooled = Outputs(chunk.logits / detector.temperature)
    torch.testing.assert_close(detector.score(chunk), build_detector("msp").score(cooled), rtol=1e-5, atol=0)


def test_it_passes_over_the_images_under_twenty_times():
    logits, labels = guesses(200, 8, 7.0, 3)

    class Counted(OutputsList):
        passes = 0

        def __iter__(self):
            self.passes += 1
            return super().__iter__()

    view = Counted([Outputs(logits)], targets=labels)
    build_detector("temperature_scaling").fit(view)
    assert view.passes < 20


@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], [0, 1], r"likelier with every lower temperature, down to 0\.01"),
        ([[1.0, 0.0], [0.0, 1.0]], [1, 0], "likelier with every higher temperature, up to 100"),
        (torch.zeros(0, 2), torch.zeros(0), r"^too few fit images \(none\)$"),
    ],
)
def test_without_a_best_temperature_there_is_a_gap(logits, labels, reason):
    with pytest.raises(NotApplicableError, match=reason):
        fit(torch.as_tensor(logits), labels)


def test_a_label_that_is_no_class():
    with pytest.raises(ValueError, match="a fit image is of class 2, but there are 2 classes"):
        fit([[1.0, 0.0], [0.0, 1.0]], [0, 2])
