"""What a module is trained on: cached features, or photographs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch

from scaling_ood.cores import Workers, workers_of
from scaling_ood.images.loading import ImageSource
from scaling_ood.images.transforms import Preprocessing

EVERY = slice(None)
"""All images of a batch."""


class TrainingImages(Protocol):
    """What a module is trained on: images, or cached features of images."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def batch(self, indices: torch.Tensor, generator: torch.Generator, own: slice = EVERY) -> torch.Tensor:
        """The module's input for these images, (N, ...) or several each, on the module's device.

        Args:
            indices: (N,) int64.
            generator: Source of chance for augmentation, which is drawn for all of them.
            own: Which of them are wanted, at least one.
        """
        ...


@dataclass(frozen=True)
class CachedFeatures:
    """Features of a frozen backbone, (N, D), float32."""

    features: torch.Tensor
    device: torch.device

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.features)

    def batch(self, indices: torch.Tensor, generator: torch.Generator, own: slice = EVERY) -> torch.Tensor:  # noqa: ARG002
        """(N, D); features are not augmented."""
        return self.features[indices[own]].to(self.device)


class Pixels(Protocol):
    """Decoded images of one size; a tensor (N, 3, H, W) is one."""

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def __getitem__(self, indices: torch.Tensor, /) -> torch.Tensor:
        """Those at (N,) indices: uint8 (N, 3, H, W)."""
        ...


@dataclass(frozen=True)
class StreamedPixels:
    """Pixels of more images than memory holds: each is decoded whenever a batch has it.

    Attributes:
        source: All images.
        threads: How many decode at a time.
    """

    source: ImageSource
    threads: Workers

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.source)

    def __getitem__(self, indices: torch.Tensor, /) -> torch.Tensor:
        """Those at (N,) indices: uint8 (N, 3, H, W)."""
        with ThreadPoolExecutor(max(1, workers_of(self.threads))) as pool:
            return torch.stack(list(pool.map(self.source.__getitem__, indices.tolist())))


@dataclass(frozen=True)
class AugmentedImages:
    """Images that are flipped and shifted by chance.

    Attributes:
        pixels: All images, held in memory or decoded anew for each batch.
        preprocessing: Normalisation.
        device: Where the module is.
        shift_px: Largest shift in each direction; the border is repeated.
    """

    pixels: Pixels
    preprocessing: Preprocessing
    device: torch.device
    shift_px: int = 4

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.pixels)

    def batch(self, indices: torch.Tensor, generator: torch.Generator, own: slice = EVERY) -> torch.Tensor:
        """Normalised (N, 3, H, W)."""
        count, shift = len(indices), self.shift_px
        flipped = torch.rand(count, generator=generator).lt(0.5)[own].to(self.device)
        offsets = torch.randint(0, 2 * shift + 1, (2, count), generator=generator)[:, own].tolist()
        images = self.preprocessing.normalise(self.pixels[indices[own]].to(self.device))
        height, width = images.shape[2:]
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
        padded = torch.nn.functional.pad(images, (shift,) * 4, mode="replicate")
        return torch.stack(
            [image[:, y : y + height, x : x + width] for image, y, x in zip(padded, *offsets, strict=True)]
        )
