"""A spatial autoencoder: what it fails to reconstruct was not in the training scenes (Baur et al. 2019)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.images.transforms import Preprocessing
from scaling_ood.models.chance import seeded
from scaling_ood.models.network import Network

Difference = Literal["l1", "l2"]

AUTOENCODER_PREPROCESSING = Preprocessing(224, 224, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Pixels in [-1, 1]: there are no published weights that could want another range. Only mean and std apply."""


class SpatialAutoencoder(Network):
    """Four halvings down to a spatial code, four doublings back; batch norm after each.

    The paper states a "4-layer U-Net with a spatial latent code, as in Baur et al." Theirs has no skip connections:
    with them the network copies whatever it sees, anomalies included.
    """

    WIDTHS = (32, 64, 128, 128)
    STRIDE = 16
    gives = frozenset({"reconstruction_error"})

    def __init__(self, skips: bool = False, dropout: float = 0.2, difference: Difference = "l1") -> None:
        """Build it with random weights.

        Args:
            skips: Whether each doubling also sees the map of its size on the way down.
            dropout: On the code, in [0, 1).
            difference: Between a pixel and its reconstruction, see `reconstruction_error`.
        """
        super().__init__()
        self.skips, self.difference = skips, difference
        down, up = (3, *self.WIDTHS), (128, 128, 64, 32, 32)
        self.down = nn.ModuleList(_down(a, b) for a, b in pairwise(down))
        extra = (0, *reversed(self.WIDTHS[:-1])) if skips else (0,) * 4
        self.up = nn.ModuleList(_up(a + more, b) for (a, b), more in zip(pairwise(up), extra, strict=True))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Conv2d(up[-1], 3, 1)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """The images themselves: the error is measured on them, and networks have no part in common."""
        return inputs

    def decode(self, encoded: torch.Tensor) -> dict[str, torch.Tensor]:
        """`reconstruction_error` (N, H, W) of each pixel of the images, in units of the normalised input."""
        return {"reconstruction_error": reconstruction_error(encoded, self.reconstruct(encoded), self.difference)}

    def reconstruct(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruction (N, 3, H, W) of normalised images (N, 3, H, W) of any size."""
        height, width = images.shape[2:]
        padding = (0, -width % self.STRIDE, 0, -height % self.STRIDE)
        maps = functional.pad(images, padding, mode="replicate")
        passed = []
        for halve in self.down:
            maps = halve(maps)
            passed.append(maps)
        maps = self.dropout(maps)  # (N, 128, H/16, W/16)
        for level, double in enumerate(self.up):
            beside = [passed[-1 - level]] if self.skips and level else []
            maps = double(torch.cat([maps, *beside], dim=1))
        reconstruction: torch.Tensor = self.output(maps)[..., :height, :width]
        return reconstruction


def build_autoencoder(
    *, seed: int, skips: bool = False, dropout: float = 0.2, difference: Difference = "l1"
) -> SpatialAutoencoder:
    """An autoencoder whose initial weights depend on the seed alone."""
    with seeded(seed):
        return SpatialAutoencoder(skips, dropout, difference)


def reconstruction_error(
    images: torch.Tensor, reconstruction: torch.Tensor, difference: Difference = "l1"
) -> torch.Tensor:
    """How far each pixel is from its reconstruction: the anomaly score.

    Args:
        images: (N, 3, H, W).
        reconstruction: (N, 3, H, W).
        difference: `l1` absolute, `l2` squared.

    Returns:
        (N, H, W): mean over the channels, at least 0.

    >>> reconstruction_error(torch.zeros(1, 3, 1, 1), torch.tensor([3.0, 0.0, -3.0]).view(1, 3, 1, 1), "l2").item()
    6.0
    """
    distance = images.float() - reconstruction.float()
    return (distance.abs() if difference == "l1" else distance.square()).mean(dim=1)


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 5, 2, 2, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)
    )


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2, inplace=True),
    )
