"""ODIN (Liang et al. 2018; the paper, appendix A): temperature, and a small step towards the predicted class.

The step needs the network and gradients, so it is taken in extraction; detectors read the logits after it. The paper's
MaxLogit of the perturbed image is `max_logit` on `Perturbed`: dividing all logits by T would not change its ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.msp import negative_log_top_probability
from scaling_ood.detectors.needs import Given, Need
from scaling_ood.detectors.outputs import Outputs

_FEWEST_CLASSES = 2


def _check(name: str, given: float, above: bool) -> None:
    number = isinstance(given, int | float) and given < inf and (given > 0 if above else given >= 0)
    if not number:
        raise ValueError(f"{name} must be a number {'above' if above else 'of at least'} 0, not {given!r}")


@dataclass(frozen=True)
class Perturbed(Need):
    """Logits of the perturbed image, (N, C) or (N, C, H, W); see `perturbed_logits`.

    Attributes:
        temperature: T, above 0.
        epsilon: Length of the step, at least 0, in units of the network's input.
    """

    name: ClassVar[str] = "odin_logits"
    requires: ClassVar[frozenset[str]] = frozenset({"logits", "gradients"})
    in_place_of: ClassVar[str] = "logits"

    temperature: float = 1000.0
    epsilon: float = 0.001

    def __post_init__(self) -> None:
        """Check the ranges; 1000 and 1000.0 are the same need."""
        for option, above in (("temperature", True), ("epsilon", False)):
            _check(option, getattr(self, option), above)
            object.__setattr__(self, option, float(getattr(self, option)))

    def make(self, given: Given) -> torch.Tensor:
        """The logits: two more forward passes and one backward pass."""
        return perturbed_logits(
            lambda inputs: given.network(inputs)["logits"], given.inputs, self.temperature, self.epsilon
        )


@detector
class ODIN(Detector):
    """-log max_k softmax(g / T)_k, with g the logits of the perturbed image, see `perturbed_logits`.

    It ranks as the negative of the top probability, but does not saturate at a low T. At a high one all probabilities
    are nearly 1 / C, so everything is in float64.

    >>> round(ODIN(temperature=1).score(Outputs(odin_logits=torch.zeros(1, 2))).item(), 4)
    0.6931
    """

    needs = frozenset({Perturbed()})

    def __init__(self, temperature: float = 1000.0, epsilon: float = 0.001) -> None:
        """Set T, finite and above 0, of the perturbation and of the score, and the length of the step, at least 0."""
        self.needs = frozenset({Perturbed(temperature, epsilon)})
        self.temperature = temperature

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative log of the top probability, in [0, log C]."""
        return negative_log_top_probability(self.read(chunk, "odin_logits").double(), self.temperature)


def perturbed_logits(
    network: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    temperature: float = 1000.0,
    epsilon: float = 0.001,
    std: Sequence[float] | None = None,
) -> torch.Tensor:
    """Logits of x - e sign(d/dx of -log max_k softmax(f(x) / T)_k): the image that looks more like its predicted class.

    Two forward passes and one backward pass to the images; the network's parameters get no gradients. The step is that
    of the cross-entropy with the predicted class, but by way of the log-odds against it, whose gradient does not vanish
    when the top probability rounds to 1. For one prediction an image it is the cross-entropy's over 1 - p, so signs and
    step are the same. For one a pixel both are sums over pixels, and this one counts sure pixels more: there the step
    is this project's own. Where a gradient is 0 there is no step.

    The defaults are those of DeVries & Taylor's code, which the paper followed. Liang et al. choose e per OOD set
    (0.0014 for CIFAR-10 and a DenseNet) and divide the step by the standard deviation of each channel.

    Args:
        network: Network input (N, 3, H, W) to logits (N, C) or (N, C, H, W), in evaluation mode.
        images: Network input, normalised. Gradients are taken even in inference mode.
        temperature: T, above 0.
        epsilon: e, at least 0; 0 leaves the images as they are.
        std: What the normalisation divided each channel by. With it, e is in units of [0, 1] pixel values, as Liang et
            al. have it; without, in those of the network's input, as DeVries & Taylor have it.

    Returns:
        Logits without gradient, of the network's type.

    Raises:
        ValueError: T or e out of range, not one `std` per channel, or fewer than two classes.
    """
    _check("temperature", temperature, above=True)
    _check("epsilon", epsilon, above=False)
    if std is not None and (len(std) != images.shape[1] or min(std) <= 0):
        raise ValueError(f"std must be {images.shape[1]} numbers above 0, one per channel, not {list(std)!r}")
    with torch.inference_mode(False):
        # Tensors made in inference mode can take no part in a backward pass; a copy can.
        inputs = (images.clone() if images.is_inference() else images.detach()).requires_grad_()
        with torch.enable_grad():
            logits = network(inputs)  # (N, C, ...)
            if logits.shape[1] < _FEWEST_CLASSES:
                raise ValueError(f"the perturbation needs at least two classes, the network has {logits.shape[1]}")
            (gradient,) = torch.autograd.grad(_odds_against_top(logits, temperature).sum(), inputs)
        step = epsilon * gradient.sign()
        if std is not None:
            step = step / torch.tensor(std, dtype=step.dtype, device=step.device).view(-1, *(1,) * (step.ndim - 2))
        with torch.no_grad():
            return network(inputs.detach() - step)


def _odds_against_top(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """The log of (1 - p) / p of the most probable class, (N, ...)."""
    wide = (logits if logits.dtype == torch.float64 else logits.float()) / temperature
    top = wide.argmax(dim=1, keepdim=True)
    others = wide.scatter(1, top, -inf).logsumexp(dim=1)
    return others - wide.gather(1, top).squeeze(1)
