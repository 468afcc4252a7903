"""MC dropout (Gal & Ghahramani 2016; the paper, section 5): how much the posterior varies under dropout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.needs import Given, Need
from scaling_ood.detectors.outputs import Outputs
from scaling_ood.wording import check_choice

_FEWEST_PASSES = 2


@dataclass(frozen=True)
class DropoutVariance(Need):
    """Variance of the posterior over dropout masks, averaged over the classes, (N,) or (N, H, W), in [0, 1/4].

    Only what lies behind the dropout is repeated. In half precision everything under 6e-8 would be 0.

    Attributes:
        passes: How many masks, at least 2.
        seed: Of the masks, at least 0; what is given as a batch's own seed is added.
    """

    name: ClassVar[str] = "posterior_variance"
    requires: ClassVar[frozenset[str]] = frozenset({"dropout"})
    from_features: ClassVar[bool] = True
    float32: ClassVar[bool] = True

    passes: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for option, least in (("passes", _FEWEST_PASSES), ("seed", 0)):
            value = getattr(self, option)
            if not (isinstance(value, int) and value >= least):
                raise ValueError(f"{option} must be an integer of at least {least}, not {value!r}")

    def make(self, given: Given) -> torch.Tensor:
        """The variance, in float64."""
        with torch.no_grad():
            passes = given.network.dropout_passes(given.encoded, self.passes, given.seed + self.seed)
            return posterior_variance(passes, given.network.posterior)


@detector
class MCDropout(Detector):
    """mean_k Var[p_k], over passes that differ in their dropout masks (after Kendall et al. 2015).

    The variance is taken where the passes are, in extraction; see `DropoutVariance`.

    >>> MCDropout().score(Outputs(posterior_variance=torch.tensor([0.25]))).tolist()
    [0.25]
    """

    needs = frozenset({DropoutVariance()})

    def __init__(self, passes: int = 10, seed: int = 0) -> None:
        """Set the number of passes, at least 2, and the seed of their masks, at least 0."""
        self.needs = frozenset({DropoutVariance(passes, seed)})

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
