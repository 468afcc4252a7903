"""Joint energy (Wang et al. 2021, "Can multi-label classification networks know what they don't know?")."""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.log_sums import is_of_images
from scaling_ood.detectors.outputs import Outputs

_CLASSES = 1000
"""Whose product of numbers up to 2 is below the largest in float64."""
_ROWS = 256
"""Images at a time: what is computed of them stays in the processor's cache."""
_SMALL = 1e-3
"""Below which 1 + x loses too much of x."""


@detector
class JointEnergy(Detector):
    """-sum_k log(1 + exp(f(x)_k)): the free energies of all classes, each a binary classifier, added up.

    Made for multi-label networks, where several classes may be present and each adds evidence.

    >>> round(JointEnergy().score(Outputs(torch.zeros(1, 4))).item(), 4)
    -2.7726
    """

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Sum of the free energies, of images in float64; at most 0."""
        logits = self.read(chunk, "logits")
        if not is_of_images(logits):
            return -torch.logaddexp(logits, torch.zeros_like(logits)).sum(dim=1)
        return torch.cat([_of_images(rows) for rows in torch.split(logits, _ROWS)])


def _of_images(logits: torch.Tensor) -> torch.Tensor:
    whole = logits.relu().sum(dim=1, dtype=torch.float64)
    return sum(map(_log_product, torch.split(logits, _CLASSES, dim=1)), whole).neg_()


def _log_product(logits: torch.Tensor) -> torch.Tensor:
    """sum_k log(1 + exp(-|f_k|)), (N,) float64: the log of one product, which is quicker than a sum of logs."""
    odds = logits.abs().double().neg_().exp_()
    small = odds.sum(dim=1) < _SMALL
    logs = (odds + 1).prod(dim=1).log_()
    if bool(small.any()):
        logs[small] = odds[small].log1p().sum(dim=1)
    return logs
