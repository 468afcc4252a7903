"""Joint energy (Wang et al. 2021, "Can multi-label classification networks know what they don't know?")."""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.outputs import Outputs


@detector
class JointEnergy(Detector):
    """-sum_k log(1 + exp(f(x)_k)): the free energies of all classes, each a binary classifier, added up.

    Made for multi-label networks, where several classes may be present and each adds evidence.

    >>> round(JointEnergy().score(Outputs(torch.zeros(1, 4))).item(), 4)
    -2.7726
    """

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Sum of the free energies, at most 0."""
        logits = self.read(chunk, "logits")
        return -torch.logaddexp(logits, torch.zeros_like(logits)).sum(dim=1)
