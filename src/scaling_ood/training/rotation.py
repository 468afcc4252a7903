"""Learning which way is up beside the classes (Hendrycks et al. 2019, arXiv:1906.12340, section 4).

The authors' released training also predicts shifts; the paper names rotations only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from scaling_ood.models.rotation import ROTATIONS, RotationClassifier


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


def rotated(images: torch.Tensor) -> torch.Tensor:
    """All images turned by 0, then all by 90, 180 and 270 degrees, anticlockwise: (4 N, channels, H, H).

    Raises:
        ValueError: The images (N, channels, H, W) are not square: turned, they would have another shape.
    """
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"only square images can be turned, not {images.shape[2]} x {images.shape[3]}")
    return torch.cat([images.rot90(quarter, (2, 3)) for quarter in range(ROTATIONS)])


def rotation_training(
    network: RotationClassifier,
    images: torch.Tensor,
    labels: torch.Tensor,
    weight: float = 1.0,
    label_smoothing: float = 0.0,
) -> RotationTraining:
    """Loss of one step, on each image in all four rotations: one pass over 4 N images.

    Args:
        network: In training mode.
        images: (N, 3, H, H), normalised.
        labels: (N,) classes.
        weight: Of the rotations. 1 as in OpenOOD's `rotpred`; the authors' code with its shifts off has 1/3.
        label_smoothing: Of the classes, in [0, 1).
    """
    logits, turns = network.both(rotated(images))
    upright = logits[: len(images)]
    truth = torch.arange(ROTATIONS, device=turns.device).repeat_interleave(len(images))
    classes = functional.cross_entropy(upright.float(), labels, label_smoothing=label_smoothing)
    rotations = functional.cross_entropy(turns.float(), truth)
    return RotationTraining(classes + weight * rotations, classes, rotations, upright)


def rotation_loss(network: RotationClassifier, images: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the rotation head, averaged over the four rotations of each image: what `rotation` reads.

    Four passes over N images; the network is in evaluation mode, and no gradient is kept.

    Args:
        network: Trained with `rotation_training`.
        images: (N, 3, H, H), normalised.

    Returns:
        (N,) float64, in nats, at least 0.
    """
    with torch.no_grad():
        losses = torch.zeros(len(images), dtype=torch.float64, device=images.device)
        for quarter, turned in enumerate(rotated(images).chunk(ROTATIONS)):
            turns = network.both(turned)[1].double()  # (N, 4)
            truth = torch.full((len(images),), quarter, device=turns.device)
            losses += functional.cross_entropy(turns, truth, reduction="none")
        return losses / ROTATIONS
