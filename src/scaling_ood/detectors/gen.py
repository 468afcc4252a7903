"""Generalised entropy (Liu et al. 2023, "GEN: Pushing the limits of softmax-based out-of-distribution detection")."""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.largest import largest_of
from scaling_ood.detectors.log_sums import top_and_rest
from scaling_ood.detectors.outputs import Outputs

_SMALL = 1e-30


@detector
class GEN(Detector):
    """sum over the M most probable classes of p^g (1 - p)^g.

    Computed from log p and log(1 - p), both of which stay finite when p rounds to 0 or 1: confident images do not tie.

    >>> GEN(gamma=0.5).score(Outputs(torch.zeros(1, 2))).item()
    1.0
    """

    def __init__(self, gamma: float = 0.1, top: int | None = 100) -> None:
        """Set the exponent, and how many classes count.

        Args:
            gamma: g, above 0 and under 1, where the sum is an entropy.
            top: M, at least 1; None, or more than there are, takes all classes. Liu et al. take 100 for ImageNet.
        """
        if not (isinstance(gamma, int | float) and 0 < gamma < 1):
            raise ValueError(f"gamma must be a number above 0 and under 1, not {gamma!r}")
        if not (top is None or (isinstance(top, int) and top >= 1)):
            raise ValueError(f"top must be an integer of at least 1, or none, not {top!r}")
        self.gamma = gamma
        self.top = top

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Generalised entropy, in (0, M^(1 - g)]."""
        logits = self.read(chunk, "logits")
        classes = logits.shape[1]
        top, rest = (each.unsqueeze(1) for each in top_and_rest(logits))  # (N, 1, ...)
        log_others = _log_odds(logits, top, rest) - rest.log1p()
        largest = largest_of(logits, min(self.top or classes, classes)).to(rest)  # (N, M, ...)
        log_p = (largest - top).sub_(rest.log1p())
        # Only the first probability can be near 1, where 1 - p is known from the other classes alone.
        log_rest = torch.where(largest == top, log_others, _log1m_exp(log_p))
        return log_p.add_(log_rest).mul_(self.gamma).exp_().sum(dim=1)


def _log_odds(logits: torch.Tensor, top: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """Log of the mass of all but the most probable class over its own, (N, 1, ...), however small."""
    small = rest < _SMALL
    if not bool(small.any()):
        return rest.log()
    others = (logits - top).scatter(1, logits.argmax(dim=1, keepdim=True), -torch.inf)
    return torch.where(small, others.logsumexp(dim=1, keepdim=True).to(rest), rest.log())


def _log1m_exp(log_p: torch.Tensor) -> torch.Tensor:
    """log(1 - p) of probabilities up to 1/2."""
    return torch.log1p(-log_p.exp())
