"""MC dropout (Gal & Ghahramani 2016; the paper, section 5): how much the posterior varies under dropout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch

from scaling_ood.detectors.base import Detector, Outputs, check_choice, detector

_FEWEST_PASSES = 2


@detector
class MCDropout(Detector):
    """mean_k Var[p_k], over passes that differ in their dropout masks (after Kendall et al. 2015).

    The variance is taken where the passes are, in extraction; see `posterior_variance`.

    >>> MCDropout().score(Outputs(torch.zeros(1, 3), posterior_variance=torch.tensor([0.25]))).tolist()
    [0.25]
    """

    needs = frozenset({"posterior_variance"})

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Variance of the posterior, averaged over the classes, in [0, 1/4]."""
        return self.read(chunk, "posterior_variance")


def posterior_variance(
    passes: Iterable[torch.Tensor], probability: Literal["softmax", "sigmoid"] = "softmax"
) -> torch.Tensor:
    """Variance of the posterior over the passes, averaged over the classes.

    Holds one running mean, not the passes (Welford 1962), in float64: passes that agree have exactly 0. The variance is
    the population's, sum of squares over the number of passes; the sample's ranks the same.

    Args:
        passes: Logits (N, C) or (N, C, H, W) of the same images, one tensor per dropout mask.
        probability: `"softmax"` over the classes, or each class's own `"sigmoid"`, for multi-label networks.

    Returns:
        (N,) or (N, H, W) float64, in [0, 1/4].

    Raises:
        ValueError: Fewer than two passes.

    >>> logits = torch.tensor([[[50.0, 0.0]], [[0.0, 50.0]]])  # two passes that contradict each other
    >>> posterior_variance(iter(logits)).tolist()
    [0.25]
    """
    check_choice("probability", probability, ("softmax", "sigmoid"))
    count, mean, spread = 0, torch.empty(0), torch.empty(0)
    for logits in passes:
        wide = logits.double()
        posterior = wide.softmax(dim=1) if probability == "softmax" else wide.sigmoid()  # (N, C, ...)
        count += 1
        if count == 1:
            mean, spread = posterior, torch.zeros_like(posterior[:, 0])
            continue
        step = posterior - mean
        mean += step / count
        spread += (step * (posterior - mean)).mean(dim=1)
    if count < _FEWEST_PASSES:
        raise ValueError(f"a variance needs at least {_FEWEST_PASSES} passes, got {count}")
    return spread / count
