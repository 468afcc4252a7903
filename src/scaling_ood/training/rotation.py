"""Learning which way is up beside the classes (Hendrycks et al. 2019, arXiv:1906.12340, section 4).

The authors' released training also predicts shifts; the paper names rotations only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models.rotation import ROTATIONS, rotated
from scaling_ood.models.two_headed import TwoHeaded, TwoHeads
from scaling_ood.training.classification import Step, TrainingImages


class RotationTraining(NamedTuple):
    """Parts of the training loss, scalars, and the logits that go with it.

    Attributes:
        total: `classes + weight * rotations`.
        classes: Mean cross-entropy of the classes, of the upright images.
        rotations: Mean cross-entropy of the rotations, of all four.
        logits: (N, C) of the upright images.
    """

    total: torch.Tensor
    classes: torch.Tensor
    rotations: torch.Tensor
    logits: torch.Tensor


def rotation_training(
    network: TwoHeads | TwoHeaded,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    weight: float = 1.0,
    label_smoothing: float = 0.0,
) -> RotationTraining:
    """Loss of one step, on each image in all four rotations: one pass over 4 N images.

    Args:
        network: In training mode; its second head knows the four rotations.
        inputs: (4 N, ...) normalised images in the order of `scaling_ood.models.rotation.rotated`, or their features.
        labels: (N,) classes.
        weight: Of the rotations. 1 as in OpenOOD's `rotpred` and in the run that the authors released.
        label_smoothing: Of the classes, in [0, 1).
    """
    logits, turns = network.both(inputs)
    upright = logits[: len(labels)]
    truth = torch.arange(ROTATIONS, device=turns.device).repeat_interleave(len(labels))
    classes = functional.cross_entropy(upright.float(), labels, label_smoothing=label_smoothing)
    rotations = functional.cross_entropy(turns.float(), truth)
    return RotationTraining(classes + weight * rotations, classes, rotations, upright)


@dataclass
class RotationObjective:
    """The loss of both tasks of a classifier whose second head says by how much an image was turned.

    Attributes:
        weight: Of the rotations.
        label_smoothing: Of the classes, in [0, 1).
        extra: Nothing changes from step to step.
    """

    weight: float = 1.0
    label_smoothing: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)

    def __call__(self, module: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> Step:
        """The loss of a batch (4 N, ...), and its `rotation_loss`; see `scaling_ood.training.Objective`."""
        assert isinstance(module, TwoHeads | TwoHeaded)
        loss = rotation_training(module, inputs, labels, self.weight, self.label_smoothing)
        return Step(loss.total, loss.logits, {"rotation_loss": loss.rotations.item()})


@dataclass(frozen=True)
class TurnedImages:
    """Images in all four rotations, which are drawn (flipped, shifted) once for all four."""

    images: TrainingImages

    def __len__(self) -> int:
        """How many images there are, each in one rotation."""
        return len(self.images)

    def batch(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Normalised (4 N, 3, H, H), in the order of `rotated`."""
        return rotated(self.images.batch(indices, generator))


@dataclass(frozen=True)
class TurnedFeatures:
    """Features of a frozen backbone of each image in all four rotations, (4, N, D), float32."""

    features: torch.Tensor
    device: torch.device

    def __len__(self) -> int:
        """How many images there are, each in one rotation."""
        return self.features.shape[1]

    def batch(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG002
        """(4 N, D), in the order of `rotated`; features are not augmented."""
        return self.features[:, indices].flatten(0, 1).to(self.device)
