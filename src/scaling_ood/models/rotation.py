"""A classifier that also says by how much its image was turned."""

from __future__ import annotations

import torch
from torch import nn

from scaling_ood.models.classifier import Classifier

ROTATIONS = 4


class RotationClassifier(Classifier):
    """Backbone, linear head for the classes, and linear head for the rotations by 0, 90, 180 and 270 degrees.

    A forward pass gives the logits of the classes, as that of any classifier.

    Attributes:
        rotation_head: Features (N, D) to logits (N, 4).
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear) -> None:
        """Add a rotation head of the same width."""
        super().__init__(backbone, head)
        self.rotation_head = nn.Linear(head.in_features, ROTATIONS)

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, C) of the classes and (N, 4) of the rotations."""
        features = self.backbone(images)
        return self.head(features), self.rotation_head(features)
