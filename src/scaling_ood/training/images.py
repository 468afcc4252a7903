"""What a module is trained on: cached features, or photographs that are held decoded in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from scaling_ood.images.transforms import Preprocessing


@dataclass(frozen=True)
class CachedFeatures:
    """Features of a frozen backbone, (N, D), float32."""

    features: torch.Tensor
    device: torch.device

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.features)

    def batch(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG002
        """(N, D); features are not augmented."""
        return self.features[indices].to(self.device)


@dataclass(frozen=True)
class DecodedImages:
    """Decoded images, uint8 (N, 3, H, W), flipped and shifted by chance.

    They are held in memory: 12 KB an image at 64 pixels. Larger trainings than the small networks here want a loader.

    Attributes:
        pixels: All images.
        preprocessing: Normalisation.
        device: Where the module is.
        shift_px: Largest shift in each direction; the border is repeated.
    """

    pixels: torch.Tensor
    preprocessing: Preprocessing
    device: torch.device
    shift_px: int = 4

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.pixels)

    def batch(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Normalised (N, 3, H, W)."""
        images = self.preprocessing.normalise(self.pixels[indices].to(self.device))
        count, _, height, width = images.shape
        flipped = torch.rand(count, generator=generator).lt(0.5).to(self.device)
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
        shift = self.shift_px
        padded = torch.nn.functional.pad(images, (shift,) * 4, mode="replicate")
        offsets = torch.randint(0, 2 * shift + 1, (2, count), generator=generator).tolist()
        return torch.stack(
            [image[:, y : y + height, x : x + width] for image, y, x in zip(padded, *offsets, strict=True)]
        )
