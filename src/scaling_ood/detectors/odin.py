"""ODIN (Liang et al. 2018; the paper, appendix A): temperature, and a small step towards the predicted class.

The step needs the network and gradients, so it is taken in extraction; the detectors read the logits after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

import torch

from scaling_ood.detectors.base import Detector, Outputs, detector
from scaling_ood.detectors.msp import negative_log_top_probability

_FEWEST_CLASSES = 2


@detector
class ODIN(Detector):
    """-log max_k softmax(g / T)_k, with g the logits of the perturbed image, see `perturbed_logits`.

    It ranks as the negative of the top probability, but does not saturate at a low T. At a high one all probabilities
    are nearly 1 / C, so everything is in float64.

    >>> round(ODIN(temperature=1).score(Outputs(torch.zeros(1, 2), odin_logits=torch.zeros(1, 2))).item(), 4)
    0.6931
    """

    needs = frozenset({"odin_logits"})

    def __init__(self, temperature: float = 1000.0) -> None:
        """Set T, finite and above 0: that of the perturbation."""
        _check("temperature", temperature, above=True)
        self.temperature = temperature

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative log of the top probability, in [0, log C]."""
        return negative_log_top_probability(self.read(chunk, "odin_logits").double() / self.temperature)


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


def _check(name: str, given: float, above: bool) -> None:
    number = isinstance(given, int | float) and given < inf and (given > 0 if above else given >= 0)
    if not number:
        raise ValueError(f"{name} must be a number {'above' if above else 'of at least'} 0, not {given!r}")
