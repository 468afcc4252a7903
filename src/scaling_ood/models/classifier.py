"""The shape that every classifier has here: a backbone that ends in one feature vector, and a linear head."""

from __future__ import annotations

import torch
from torch import nn


class Classifier(nn.Module):
    """Backbone and linear head.

    Attributes:
        backbone: Images (N, 3, H, W) to penultimate features (N, D).
        head: Features (N, D) to logits (N, C).
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear) -> None:
        """Join the two; their widths must agree."""
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of normalised images (N, 3, H, W)."""
        logits: torch.Tensor = self.head(self.backbone(images))
        return logits
