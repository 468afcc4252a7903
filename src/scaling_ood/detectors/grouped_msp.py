"""MSP over groups of classes: what MSP would say if look-alike classes were one (the paper, Figure 3)."""

from __future__ import annotations

from typing import Self

import torch
from torch.nn import functional

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.log_sums import exp_, is_of_images
from scaling_ood.detectors.outputs import Outputs, OutputsView
from scaling_ood.detectors.products import times


def group_mass(logits: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Mass of each group: the sum of exp(logit) over its classes, as a multiple of the most probable class's.

    Args:
        logits: (N, C, ...), at least float32.
        groups: (C,) group of each class, 0..G-1.

    Returns:
        (N, G, ...), at least 1 for some group; over its sum it is the probability of each group. Of images it is
        float64.

    >>> group_mass(torch.zeros(1, 3), torch.tensor([0, 0, 1])).tolist()
    [[2.0, 1.0]]
    """
    below = logits - logits.amax(dim=1, keepdim=True)
    member = functional.one_hot(groups)  # (C, G)
    if is_of_images(logits):
        return times(exp_(below.double()), member.double())
    return torch.einsum("nc...,cg->ng...", below.exp_(), member.to(below))


@detector
class GroupedMSP(Detector):
    """-log max_g sum of p_k over the classes k of group g.

    A classifier that knows the family and hesitates between its species is confident here and not under MSP.
    Reads the groups from the fitting view and no image; holds C integers.
    """

    learns = False
    groups: torch.Tensor

    def fit(self, outputs: OutputsView) -> Self:
        """Take over the benchmark's groups of classes.

        Raises:
            NotApplicableError: Its classes have no groups.
        """
        if outputs.class_groups is None:
            raise NotApplicableError("the classes have no groups")
        self.groups = outputs.class_groups
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative log of the top group's probability, in [0, log G]."""
        logits = self.read(chunk, "logits")
        mass = group_mass(logits, self.groups.to(logits.device))
        top, best = mass.max(dim=1, keepdim=True)
        return (mass.scatter_(1, best, 0).sum(dim=1) / top.squeeze(1)).log1p_()
