"""Learning which way is up beside the classes (Hendrycks et al. 2019, arXiv:1906.12340, section 4).

The authors' released training also predicts shifts; the paper names rotations only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from scaling_ood.models.heads import ROTATIONS, Second
from scaling_ood.training.classification import Loss, Objective
from scaling_ood.training.images import EVERY, TrainingImages


def rotated(images: torch.Tensor) -> torch.Tensor:
    """All images turned by 0, then all by 90, 180 and 270 degrees, anticlockwise: (4 N, channels, H, H).

    Raises:
        ValueError: The images (N, channels, H, W) are not square: turned, they would have another shape.
    """
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"only square images can be turned, not {images.shape[2]} x {images.shape[3]}")
    return torch.cat([images.rot90(quarter, (2, 3)) for quarter in range(ROTATIONS)])


@dataclass(frozen=True)
class RotationObjective(Objective):
    """Cross-entropy of the classes of upright images, and of the rotations of all: one pass over 4 N images.

    Its batches are `TurnedImages` or `TurnedFeatures`. Its row has the `rotation_loss`, without the weight.

    Attributes:
        weight: Of the rotations. 1 as in OpenOOD's `rotpred` and in the run that the authors released.
        label_smoothing: Of the classes, in [0, 1).
    """

    weight: float = 1.0
    label_smoothing: float = 0.0
    second: ClassVar[Second] = "rotations"

    def loss(self, outputs: Mapping[str, torch.Tensor], targets: torch.Tensor, extra: Mapping[str, float]) -> Loss:  # noqa: ARG002
        """The loss of a batch (4 N, ...), in the order of `rotated`; see `Objective`."""
        upright, turns = outputs["logits"][: len(targets)], outputs["rotations"]
        truth = torch.arange(ROTATIONS, device=turns.device).repeat_interleave(len(targets))
        classes = functional.cross_entropy(upright.float(), targets, label_smoothing=self.label_smoothing)
        rotations = functional.cross_entropy(turns.float(), truth)
        return Loss(classes + self.weight * rotations, {"rotation_loss": rotations.item()})


@dataclass(frozen=True)
class TurnedImages:
    """Images in all four rotations, which are drawn (flipped, shifted) once for all four."""

    images: TrainingImages

    def __len__(self) -> int:
        """How many images there are, each in one rotation."""
        return len(self.images)

    def batch(self, indices: torch.Tensor, generator: torch.Generator, own: slice = EVERY) -> torch.Tensor:
        """Normalised (4 N, 3, H, H), in the order of `rotated`."""
        return rotated(self.images.batch(indices, generator, own))


@dataclass(frozen=True)
class TurnedFeatures:
    """Features of a frozen backbone of each image in all four rotations, (4, N, D), float32."""

    features: torch.Tensor
    device: torch.device

    def __len__(self) -> int:
        """How many images there are, each in one rotation."""
        return self.features.shape[1]

    def batch(self, indices: torch.Tensor, generator: torch.Generator, own: slice = EVERY) -> torch.Tensor:  # noqa: ARG002
        """(4 N, D), in the order of `rotated`; features are not augmented."""
        return self.features[:, indices[own]].flatten(0, 1).to(self.device)
