"""From a photograph or a noise array to the tensor that a network takes.

Preprocessing belongs to the weights: each source of networks says that of its own, and `preprocessing` of a network in
YAML what a source cannot say. Pixels travel as uint8 and are normalised in batches on the device, which quarters what
the workers have to copy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image

from scaling_ood.images.exif import Orientation
from scaling_ood.images.opening import to_rgb

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

INTERPOLATION: dict[str, Image.Resampling] = {name: Image.Resampling[name.upper()] for name in get_args(Interpolation)}
"""Filters by the names that they have in Pillow, and in the records of the libraries."""


@dataclass(frozen=True)
class Preprocessing:
    """How the images that a set of weights was trained on were prepared.

    Attributes:
        resize_px: Length that the shorter side is scaled to, in pixels.
        crop_px: Side of the centre crop, in pixels: the network's input size. Where it is larger than the scaled image,
            there is black around that.
        interpolation: Filter of the scaling.
        mean: Per channel, in units of [0, 1] pixel values.
        std: Per channel, in units of [0, 1] pixel values.
        revision: Of the code that scales and crops: to be raised with every change of its pixels, since the keys of
            stored outputs hold it. 2: sizes and offsets are rounded as torchvision does it.
        squash: Whether the whole image is stretched to the square instead: what stands at its border is not lost, but
            shapes change.
        orientation: Whether photographs are turned as EXIF says; the published preprocessing takes them as stored. It
            belongs to the data, not to the weights.
        border: Whether the longer side is scaled to `resize_px` instead, and what lacks to the square has the colour of
            `mean`: nothing is lost, and shapes stay.
    """

    resize_px: int
    crop_px: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    revision: int = 2
    squash: bool = False
    orientation: Orientation = "stored"
    border: bool = False

    def __post_init__(self) -> None:
        """Refuse two ways at once to make an image square."""
        if self.squash and self.border:
            raise ValueError("an image is either squashed or has a border, not both")

    def what_matters(self) -> dict[str, Any]:
        """Plain values for keys; what was always so before there was a choice is left out."""
        return {name: value for name, value in asdict(self).items() if value or name != "border"}

    def at(self, input_px: int | None) -> Preprocessing:
        """The same for another input size; None changes nothing.

        Normalisation and interpolation stay those of the weights; the margin that the crop leaves stays in proportion.
        """
        if input_px is None:
            return self
        return replace(self, resize_px=round(input_px * self.resize_px / self.crop_px), crop_px=input_px)

    def squashed(self) -> Preprocessing:
        """The same for whole images, stretched to the network's input size."""
        return replace(self, resize_px=self.crop_px, squash=True, border=False)

    def crop(self, image: Image.Image) -> torch.Tensor:
        """Scale to `resize_px` and cut the central square out; any mode becomes RGB.

        Returns:
            uint8 tensor of shape (3, crop_px, crop_px), values 0..255.
        """
        image = to_rgb(image)
        width, height = self._scaled(*image.size)
        if (width, height) != image.size:
            image = image.resize((width, height), INTERPOLATION[self.interpolation])
        if min(width, height) < self.crop_px:
            fill = [round(255 * level) for level in self.mean] if self.border else [0, 0, 0]
            around = Image.new("RGB", (max(width, self.crop_px), max(height, self.crop_px)), tuple(fill))
            around.paste(image, ((around.width - width) // 2, (around.height - height) // 2))
            image = around
        left, top = (round((side - self.crop_px) / 2) for side in image.size)
        image = image.crop((left, top, left + self.crop_px, top + self.crop_px))
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)  # (3, crop_px, crop_px)

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Rounded as the libraries do it with which published weights were tested: torchvision; of a border timm."""
        if self.squash:
            return self.resize_px, self.resize_px
        if self.border:
            ratio = max(height / self.resize_px, width / self.resize_px)
            return round(width / ratio), round(height / ratio)
        short = min(width, height)
        return self.resize_px * width // short, self.resize_px * height // short

    def normalise(self, batch: torch.Tensor, room: torch.Tensor | None = None) -> torch.Tensor:
        """Network input for a batch of images.

        Args:
            batch: (N, 3, H, W); uint8 in 0..255, or floating point in [0, 1].
            room: (N or more, 3, H, W) in float32, for what is returned; by default it has memory of its own.

        Returns:
            float32 tensor of shape (N, 3, H, W): (x - mean) / std, in the memory order of the batch.
        """
        pixels = torch.empty_like(batch, dtype=torch.float32) if room is None else room[: len(batch)]
        pixels.copy_(batch)
        if batch.dtype == torch.uint8:
            pixels.div_(255)
        rows, width = pixels, None
        if pixels.is_contiguous(memory_format=torch.channels_last):
            # A row at a time: three numbers alone, side by side, take five times as long.
            images, _, height, width = pixels.shape
            rows = pixels.permute(0, 2, 3, 1).view(images, height, width * 3)
        rows.sub_(_levels(self.mean, width, batch.device)).div_(_levels(self.std, width, batch.device))
        return pixels


@lru_cache(maxsize=64)
def _levels(levels: tuple[float, float, float], width: int | None, device: torch.device) -> torch.Tensor:
    """Of each channel, (1, 3, 1, 1), or of each number of a row of pixels, (width x 3,).

    They are kept, since each copy to a GPU waits until that has done all that it was given.
    """
    with torch.inference_mode(False):
        once = torch.tensor(levels, device=device)
        return once.view(1, 3, 1, 1) if width is None else once.repeat(width)
