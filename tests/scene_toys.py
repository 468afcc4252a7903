"""Scenes that a tiny network learns in seconds: bright rectangles on dark ground, and a frame of void."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from scaling_ood.images import Preprocessing
from scaling_ood.models.segmentation import Encoder, Maps

HALF = Preprocessing(64, 64, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class TinyEncoder(Encoder):
    """Three strided convolutions."""

    widths = (8, 12)

    def __init__(self) -> None:
        """Random weights, from the global generator."""
        super().__init__()
        self.middle = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()
        )
        self.last = nn.Conv2d(8, 8, 3, 2, 1)
        self.deep = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 12, 3, 1, 1), nn.ReLU())

    def forward(self, images: torch.Tensor) -> Maps:
        """Maps at stride 8."""
        middle = self.last(self.middle(images))
        return Maps(middle, self.deep(middle))


@dataclass(frozen=True)
class Rectangles:
    """So many scenes of 48 x 64 pixels: class 1 on class 0, void along the left edge."""

    scenes: int
    seed: int = 0
    size: tuple[int, int] = (48, 64)

    def __len__(self) -> int:
        """How many scenes there are."""
        return self.scenes

    def scene(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        """One scene; the void pixels look like class 1."""
        random = np.random.default_rng([self.seed, index])
        height, width = self.size
        labels = np.zeros((height, width), np.uint8)
        top, left = random.integers(0, height // 2), random.integers(4, width // 2)
        labels[top : top + height // 2, left : left + width // 2] = 1
        pixels = random.normal(60, 15, (height, width, 3)) + 120 * labels[..., None]
        pixels[:, :2] = 180
        labels[:, :2] = 255
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), labels
