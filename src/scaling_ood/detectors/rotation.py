"""Rotation (Hendrycks et al. 2019, "Using self-supervised learning ..."; the paper, appendix A): which way is up?

A second head of the classifier learns by how much an image was turned. It can tell for what it has seen in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import ClassVar

import torch
from torch.nn import functional

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.needs import Given, Need
from scaling_ood.detectors.outputs import Outputs

ROTATIONS = 4
"""By 0, 90, 180 and 270 degrees, anticlockwise."""


@dataclass(frozen=True)
class RotationLoss(Need):
    """Cross-entropy of the rotation head, averaged over the four rotations of each image, (N,): three more passes."""

    name: ClassVar[str] = "rotation_loss"
    requires: ClassVar[frozenset[str]] = frozenset({"rotations"})

    def make(self, given: Given) -> torch.Tensor:
        """The loss, in float64.

        Raises:
            ValueError: The images are not square.
        """
        with torch.no_grad():
            others = [given.network(turned(given.inputs, quarter))["rotations"] for quarter in range(1, ROTATIONS)]
            return rotation_loss([given.outputs["rotations"], *others])


@detector
class Rotation(Detector):
    """Cross-entropy of the rotation head, averaged over the four rotations of the image, in nats.

    Needs a classifier trained as in `scaling_ood.training.rotation`; learns nothing from fit images. What the paper
    reports of such a classifier is `msp` and `max_logit`.

    >>> Rotation().score(Outputs(rotation_loss=torch.tensor([0.5]))).tolist()
    [0.5]
    """

    needs = frozenset({RotationLoss()})
    dense = False

    def __init__(self, with_posterior: bool = False) -> None:
        """Set whether KL[uniform || p], high for a confident classifier, is taken off, as Hendrycks et al. do."""
        if not isinstance(with_posterior, bool):
            raise ValueError(f"with_posterior must be true or false, not {with_posterior!r}")
        self.with_posterior = with_posterior
        if with_posterior:
            self.needs = frozenset({RotationLoss(), "logits"})

    def score(self, chunk: Outputs) -> torch.Tensor:
        """The rotation loss, at least 0; any real number with the posterior."""
        loss = self.read(chunk, "rotation_loss")
        if not self.with_posterior:
            return loss
        logits = self.read(chunk, "logits").double()
        uniform = logits.logsumexp(dim=1) - logits.mean(dim=1) - log(logits.shape[1])
        return loss - uniform


def turned(images: torch.Tensor, quarter: int) -> torch.Tensor:
    """Square images (N, channels, H, H) turned anticlockwise by so many quarters.

    Raises:
        ValueError: They are not square: turned, they would have another shape.
    """
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"only square images can be turned, not {images.shape[2]} x {images.shape[3]}")
    return images.rot90(quarter, (2, 3))


def rotation_loss(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the rotation head, averaged over the four rotations of each image.

    Args:
        logits: (N, 4) of the same images, by how many quarters they are turned.

    Returns:
        (N,) float64, in nats, at least 0.

    >>> sure = 50 * torch.eye(4)  # of one image, whose rotation is always known
    >>> rotation_loss(list(sure[:, None])).item()
    0.0
    """
    losses = [
        functional.cross_entropy(
            turns.double(), torch.full((len(turns),), quarter, device=turns.device), reduction="none"
        )
        for quarter, turns in enumerate(logits)
    ]
    return torch.stack(losses).mean(dim=0)
