"""ODIN: its perturbation against autograd, finite differences and pytorch-ood; the need, and the score."""

import math
import re

import pytest
import torch
from pytorch_ood.detector import ODIN
from torch import nn

from scaling_ood.detectors import Given, Outputs, build_detector, field_of
from scaling_ood.detectors.odin import Perturbed, perturbed_logits

STD = (0.229, 0.224, 0.225)


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Softplus(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 5)
    )
    return layers.double().eval()


@pytest.fixture
def images():
    return torch.randn(7, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_cross_entropy(network, images, temperature, epsilon, std=None):
    """As DeVries & Taylor have it, and divided by the standard deviation as Liang et al. have it."""
    inputs = images.clone().requires_grad_()
    logits = network(inputs)
    nn.functional.cross_entropy(logits / temperature, logits.argmax(dim=1)).backward()
    step = epsilon * inputs.grad.sign()
    if std is not None:
        for channel, width in enumerate(std):
            step[:, channel] /= width
    return network(images - step).detach()


@pytest.mark.parametrize("std", [None, STD])
@pytest.mark.parametrize(("temperature", "epsilon"), [(1000.0, 0.001), (1.0, 0.05), (10, 0)])
def test_equals_autograd_and_pytorch_ood(network, images, temperature, epsilon, std):
    actual = perturbed_logits(network, images, temperature, epsilon, std)
    expected = by_cross_entropy(network, images, temperature, epsilon, std)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    theirs = ODIN(network, eps=epsilon, temperature=temperature, norm_std=std)
    score = build_detector("odin", temperature=temperature).score(Outputs(actual, odin_logits=actual))
    torch.testing.assert_close(-score.neg().exp(), theirs.predict(images).detach(), rtol=1e-12, atol=1e-12)


def test_the_step_raises_the_top_probability(network, images):
    before = network(images).softmax(dim=1).amax(dim=1)
    top = network(images).argmax(dim=1, keepdim=True)
    after = perturbed_logits(network, images, 1.0, 1e-4).softmax(dim=1)
    assert (after.gather(1, top)[:, 0] > before).all()


def test_a_saturated_softmax_still_has_a_gradient(network, images):
    """In single precision, cross-entropy's gradient by the top logit is exactly 0 above a margin of 17."""

    def sure(pixels):
        logits = 1000 * network.double()(pixels.double())
        return logits.to(pixels.dtype)

    exact = perturbed_logits(sure, images, 1.0, 0.01)
    single = perturbed_logits(sure, images.float(), 1.0, 0.01)
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-3)
    by_loss = by_cross_entropy(sure, images.float(), 1.0, 0.01)
    assert not torch.allclose(by_loss.double(), exact, rtol=1e-2, atol=1e-2)


def test_an_image_does_not_depend_on_its_batch(network, images):
    whole = perturbed_logits(network, images)
    alone = torch.cat([perturbed_logits(network, images[i : i + 1]) for i in range(len(images))])
    torch.testing.assert_close(alone, whole, rtol=1e-12, atol=1e-12)


def test_pixels(network, images):
    """A fully convolutional network has logits per pixel: the image steps towards all of its predicted pixels."""
    dense = nn.Sequential(*list(network)[:3], nn.Conv2d(6, 4, 1).double())
    inputs = images.clone().requires_grad_()
    logits = dense(inputs)
    odds = logits.softmax(dim=1).amax(dim=1)
    ((1 - odds).log() - odds.log()).sum().backward()
    expected = dense(images - 0.01 * inputs.grad.sign())
    torch.testing.assert_close(perturbed_logits(dense, images, 1.0, 0.01), expected.detach(), rtol=1e-9, atol=1e-9)


def test_in_inference_mode_and_without_a_trace(network, images):
    expected = perturbed_logits(network, images)
    with torch.inference_mode():
        copy = images.clone()
        assert copy.is_inference()
        torch.testing.assert_close(perturbed_logits(network, copy), expected)
        assert torch.equal(copy, images)
    before = images.clone()
    actual = perturbed_logits(network, images)
    assert not actual.requires_grad
    assert not images.requires_grad
    assert torch.equal(images, before)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_in_mixed_precision(images, dtype):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5)).eval()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        actual = perturbed_logits(network, images.float(), epsilon=0.01)
    assert actual.dtype == dtype
    expected = perturbed_logits(network.double(), images, epsilon=0.01)
    torch.testing.assert_close(actual.double(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature must be a number above 0, not 0"),
        ({"temperature": math.inf}, "temperature must be a number above 0, not inf"),
        ({"epsilon": -0.1}, "epsilon must be a number of at least 0, not -0.1"),
        ({"std": (0.2, 0.2)}, "std must be 3 numbers above 0, one per channel, not [0.2, 0.2]"),
        ({"std": (0.2, 0, 0.2)}, "std must be 3 numbers above 0, one per channel, not [0.2, 0, 0.2]"),
    ],
)
def test_perturbations_without_meaning(network, images, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        perturbed_logits(network, images, **options)


def test_one_class_is_too_few(images):
    with pytest.raises(ValueError, match="at least two classes, the network has 1"):
        perturbed_logits(lambda pixels: pixels.mean(dim=(2, 3))[:, :1], images)


def test_a_high_temperature_does_not_tie():
    """In single precision, 1,000 classes at T = 1,000 have top probabilities that differ in no digit."""
    logits = torch.zeros(100, 1000)
    logits[:, 0] = torch.linspace(10, 10.01, 100)
    assert (build_detector("odin").score(Outputs(logits, odin_logits=logits)).diff() < 0).all()
    assert len((logits / 1000).softmax(dim=1).amax(dim=1).unique()) < 50


def test_the_need_is_made_of_the_whole_network_by_the_options(network, images):
    def gives(inputs):
        return {"logits": network(inputs)}

    detector = build_detector("odin", temperature=10, epsilon=0.05)
    (need,) = detector.needs
    assert need == Perturbed(10.0, 0.05)
    assert field_of(need) == "odin_logits(temperature=10.0,epsilon=0.05)"
    with torch.inference_mode():
        made = need.make(Given(gives, images.clone(), encoded=None, outputs={}))
    assert torch.equal(made, perturbed_logits(network, images, 10.0, 0.05))
    expected = build_detector("msp").score(Outputs(made / 10))
    torch.testing.assert_close(detector.score(Outputs(**{field_of(need): made})), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature must be a number above 0, not -1"),
        ({"epsilon": "small"}, "epsilon must be a number of at least 0, not 'small'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector("odin", **options)
