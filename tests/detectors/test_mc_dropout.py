"""MC dropout: its need, the stored variance as score, and the streamed one against NumPy over all passes at once."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from scaling_ood.detectors import Given, Outputs, build_detector, field_of
from scaling_ood.detectors.mc_dropout import DropoutVariance, posterior_variance


def draw(shape, scale=1.0, dtype=torch.float32):
    return (scale * torch.randn(shape, generator=torch.Generator().manual_seed(0))).to(dtype)


@pytest.mark.parametrize("shape", [(10, 8, 6), (4, 2, 6, 3, 5), (2, 1, 2)])
@pytest.mark.parametrize("probability", ["softmax", "sigmoid"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_equals_numpy_on_all_passes(shape, probability, dtype):
    passes = draw(shape, 2.0, dtype)
    wide = passes.double().numpy()
    posterior = softmax(wide, axis=2) if probability == "softmax" else expit(wide)
    actual = posterior_variance(iter(passes), probability)
    assert actual.dtype == torch.float64
    np.testing.assert_allclose(actual, posterior.var(axis=0).mean(axis=1), rtol=1e-12)


def test_passes_that_agree_have_no_variance_at_all():
    logits = draw((5, 7))
    assert posterior_variance([logits] * 9).tolist() == [0.0] * 5


def test_small_differences_keep_their_digits():
    """Two sums of squares would lose them all: the variance is 1e-16 of the squared posterior."""
    passes = [torch.tensor([[shift, 0.0]], dtype=torch.float64) for shift in (0.0, 1e-8, 2e-8)]
    # The posterior's slope at 1/2 is 1/4; the variance of 0, 1, 2 is 2/3.
    assert posterior_variance(passes).item() == pytest.approx(1e-16 / 16 * 2 / 3, rel=1e-6)


def test_range():
    opposite = torch.tensor([[[1e4, 0.0]], [[0.0, 1e4]]])
    assert posterior_variance(opposite).item() == 0.25
    variance = posterior_variance(draw((20, 50, 3), 30.0))
    assert variance.min() >= 0
    assert variance.max() <= 0.25


def test_passes_are_not_changed_nor_kept():
    first = draw((5, 7), dtype=torch.float64)
    copy = first.clone()
    posterior_variance([first, first + 1, first * 2], "sigmoid")
    assert torch.equal(first, copy)


@pytest.mark.parametrize("count", [0, 1])
def test_one_pass_has_no_variance(count):
    with pytest.raises(ValueError, match=f"at least 2 passes, got {count}"):
        posterior_variance([torch.zeros(1, 2)] * count)


def test_unknown_probability():
    with pytest.raises(ValueError, match="probability must be 'softmax' or 'sigmoid', not 'sigmod'; did you mean"):
        posterior_variance([torch.zeros(1, 2)] * 2, "sigmod")


def test_the_score_is_the_variance():
    variance = draw((2, 3, 4)).abs()
    outputs = Outputs(posterior_variance=variance)
    assert torch.equal(build_detector("mc_dropout").score(outputs), variance)


@pytest.mark.parametrize("posterior", ["softmax", "sigmoid"])
def test_the_need_is_the_variance_of_the_networks_passes(posterior):
    class Noisy:
        def dropout_passes(self, encoded, passes, seed):
            generator = torch.Generator().manual_seed(seed)
            return (encoded + torch.randn(encoded.shape[1], generator=generator) for _ in range(passes))

    network, encoded = Noisy(), draw((5, 7))
    network.posterior = posterior
    detector = build_detector("mc_dropout", passes=4, seed=3)
    (need,) = detector.needs
    assert need == DropoutVariance(4, 3)
    made = need.make(Given(network, inputs=None, encoded=encoded, outputs={}, seed=20))
    assert torch.equal(made, posterior_variance(network.dropout_passes(encoded, 4, 23), posterior))
    assert torch.equal(detector.score(Outputs(**{field_of(need): made})), made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"passes": 1}, "passes must be an integer of at least 2, not 1"),
        ({"passes": 2.5}, "passes must be an integer of at least 2, not 2.5"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        build_detector("mc_dropout", **options)
