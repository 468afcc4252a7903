"""Classifiers that also say by how much an image was turned (Hendrycks et al. 2019, arXiv:1906.12340, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from scaling_ood.models.network import ForwardPass
from scaling_ood.models.two_headed import TwoHeaded, TwoHeadedNetworks

ROTATIONS = 4
"""Logits of the second head: by 0, 90, 180 and 270 degrees, anticlockwise."""


def rotated(images: torch.Tensor) -> torch.Tensor:
    """All images turned by 0, then all by 90, 180 and 270 degrees, anticlockwise: (4 N, channels, H, H).

    Raises:
        ValueError: The images (N, channels, H, W) are not square: turned, they would have another shape.
    """
    return torch.cat([turned(images, quarter) for quarter in range(ROTATIONS)])


def turned(images: torch.Tensor, quarter: int) -> torch.Tensor:
    """Square images (N, channels, H, H) turned anticlockwise by so many quarters.

    Raises:
        ValueError: They are not square.
    """
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"only square images can be turned, not {images.shape[2]} x {images.shape[3]}")
    return images.rot90(quarter, (2, 3))


def rotation_loss(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the rotation head, averaged over the four rotations of each image: what `rotation` reads.

    Args:
        logits: (N, 4) of the same images in each rotation, in the order of `rotated`.

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


class RotationNetworks(TwoHeadedNetworks):
    """Networks whose second head says by how much an image was turned.

    Attributes:
        losses: Whether the rotation loss is wanted, which takes four passes in place of one.
    """

    def __init__(self, networks: Mapping[str, TwoHeaded], shared: bool, losses: bool) -> None:
        """Join them."""
        super().__init__(networks, shared)
        self.losses = losses

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        """Logits of each variant for upright normalised images (N, 3, H, H), with the rotation loss if it is wanted."""
        passes = [self.both(images)]
        if self.losses:
            passes += [self.both(turned(images, quarter)) for quarter in range(1, ROTATIONS)]
        outputs = {}
        for name, upright in passes[0].items():
            loss = rotation_loss([one[name].second for one in passes]) if self.losses else None
            outputs[name] = ForwardPass(upright.classes, rotation_loss=loss)
        return outputs
