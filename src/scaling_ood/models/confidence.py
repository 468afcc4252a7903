"""Classifiers with a confidence branch (DeVries & Taylor 2018): a second head says how sure the first one is."""

from __future__ import annotations

import torch

from scaling_ood.models.network import ForwardPass
from scaling_ood.models.two_headed import TwoHeadedNetworks

CONFIDENCES = 1
"""Logits of the second head."""


class ConfidenceNetworks(TwoHeadedNetworks):
    """Networks whose second head gives the logit of the confidence."""

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        """Logits and confidence of each variant for normalised images (N, 3, H, W)."""
        return {
            name: ForwardPass(logits.classes, confidence=logits.second.squeeze(1))
            for name, logits in self.both(images).items()
        }
