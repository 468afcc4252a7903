"""MSP over groups of classes: what MSP would say if look-alike classes were one (the paper, Figure 3)."""

from __future__ import annotations

from typing import Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.msp import negative_log_top_probability
from scaling_ood.detectors.outputs import Outputs, OutputsView


def group_log_mass(logits: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Unnormalised log mass of each group: log of the sum of exp(logit) over its classes.

    Args:
        logits: (N, C, ...), at least float32.
        groups: (C,) group of each class, 0..G-1; every group has at least one class.

    Returns:
        (N, G, ...); its softmax over dimension 1 is the probability of each group.

    >>> group_log_mass(torch.zeros(1, 3), torch.tensor([0, 0, 1])).softmax(1).tolist()
    [[0.6666666865348816, 0.3333333432674408]]
    """
    count = int(groups.max()) + 1
    return torch.stack([logits[:, groups == group].logsumexp(dim=1) for group in range(count)], dim=1)


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
        return negative_log_top_probability(group_log_mass(self.read(chunk, "logits"), self.groups))
