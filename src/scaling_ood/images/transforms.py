"""From a photograph or a noise array to the tensor that a network takes.

Preprocessing belongs to the weights: each registered model brings its own `Preprocessing`, and a benchmark cannot
change it. Pixels travel as uint8 and are normalised in batches on the device, which quarters what the workers
have to copy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from PIL import Image

from scaling_ood.images.exif import Orientation
from scaling_ood.images.opening import to_rgb

INTERPOLATION = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """How the images that a set of weights was trained on were prepared.

    Attributes:
        resize_px: Length that the shorter side is scaled to, in pixels.
        crop_px: Side of the centre crop, in pixels: the network's input size.
        interpolation: Filter of the scaling.
        mean: Per channel, in units of [0, 1] pixel values.
        std: Per channel, in units of [0, 1] pixel values.
        revision: Of the code that scales and crops: to be raised with every change of its pixels, since the keys of
            stored outputs hold it. 2: sizes and offsets are rounded as torchvision does it.
        squash: Whether the whole image is stretched to the square instead: what stands at its border is not lost, but
            shapes change.
        orientation: Whether photographs are turned as EXIF says; the published preprocessing takes them as stored. It
            belongs to the data, not to the weights.
    """

    resize_px: int
    crop_px: int
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    revision: int = 2
    squash: bool = False
    orientation: Orientation = "stored"

    def __post_init__(self) -> None:
        """Refuse a crop that is larger than the scaled image."""
        if self.crop_px > self.resize_px:
            raise ValueError(f"crop_px = {self.crop_px} is larger than resize_px = {self.resize_px}")

    def at(self, input_px: int | None) -> Preprocessing:
        """The same for another input size; None changes nothing.

        Normalisation and interpolation stay those of the weights; the margin that the crop leaves stays in proportion.
        """
        if input_px is None:
            return self
        return replace(self, resize_px=round(input_px * self.resize_px / self.crop_px), crop_px=input_px)

    def squashed(self) -> Preprocessing:
        """The same for whole images, stretched to the network's input size."""
        return replace(self, resize_px=self.crop_px, squash=True)

    def crop(self, image: Image.Image) -> torch.Tensor:
        """Scale the shorter side to `resize_px` and cut the central square out, or squash; any mode becomes RGB.

        Returns:
            uint8 tensor of shape (3, crop_px, crop_px), values 0..255.
        """
        image = to_rgb(image)
        short = min(image.size)
        # Sizes and offsets are rounded as torchvision does it, with which most published weights were tested.
        width, height = (self.resize_px if self.squash else self.resize_px * side // short for side in image.size)
        if (width, height) != image.size:
            image = image.resize((width, height), INTERPOLATION[self.interpolation])
        left, top = (round((side - self.crop_px) / 2) for side in (width, height))
        image = image.crop((left, top, left + self.crop_px, top + self.crop_px))
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)  # (3, crop_px, crop_px)

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """Network input for a batch of images.

        Args:
            batch: (N, 3, H, W); uint8 in 0..255, or floating point in [0, 1].

        Returns:
            float32 tensor of shape (N, 3, H, W): (x - mean) / std.
        """
        pixels = batch.float().div_(255) if batch.dtype == torch.uint8 else batch.float()
        mean = torch.tensor(self.mean, device=batch.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=batch.device).view(1, 3, 1, 1)
        return (pixels - mean) / std
