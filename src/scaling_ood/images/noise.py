"""The paper's three noise sets (appendix A), generated on the fly at the network's input size.

Recipes after the code that the authors released with earlier work (outlier-exposure, pre-training). Each image has a
random generator of its own, seeded by the set's seed, the recipe and the image's index, so neither batch size nor
worker count changes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatImage = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Noise:
    """One noise set.

    Attributes:
        recipe: `gaussian`, `rademacher` or `blobs`.
        seed: Seed of the set.
        sigma: Blobs only: standard deviation of the blur in pixels. The released code has 1.5 at 32 px and 2 at 64 px;
            nothing is published for 224 px, and 4 is the natural continuation.
        border: Blobs only: how the blur continues the image beyond its edge (scipy's mode names).
        blur_channels: Blobs only: whether the blur also runs across the three colour channels, as it did in the
            released code (`multichannel=False`).
        noise_range: `pixel`: values in [-1, 1] are taken for pixels, mapped to [0, 1] and normalised as the model's
            photographs are. `tensor`: they enter the network as they are.
    """

    recipe: Literal["gaussian", "rademacher", "blobs"]
    seed: int = 0
    sigma: float = 4.0
    border: Literal["nearest", "reflect", "mirror", "constant", "wrap"] = "nearest"
    blur_channels: bool = True
    noise_range: Literal["pixel", "tensor"] = "pixel"

    def image(self, index: int, size_px: int) -> FloatImage:
        """The image of that index.

        Args:
            index: 0, 1, …; the image depends on it and on the set's own options alone.
            size_px: Side of the square, in pixels.

        Returns:
            float32 array of shape (size_px, size_px, 3), values in [-1, 1].
        """
        generator = np.random.default_rng([self.seed, zlib.crc32(self.recipe.encode()), index])
        return RECIPES[self.recipe](self, generator, (size_px, size_px, 3))


def gaussian(_: Noise, generator: np.random.Generator, shape: tuple[int, int, int]) -> FloatImage:
    """Pixels i.i.d. normal with mean 0 and standard deviation 0.5, clipped to [-1, 1]."""
    pixels: FloatImage = np.clip(0.5 * generator.standard_normal(shape, dtype=np.float32), -1, 1)
    return pixels


def rademacher(_: Noise, generator: np.random.Generator, shape: tuple[int, int, int]) -> FloatImage:
    """Each pixel of each channel -1 or 1 with equal probability."""
    return 2 * generator.integers(0, 2, shape).astype(np.float32) - 1


def blobs(noise: Noise, generator: np.random.Generator, shape: tuple[int, int, int]) -> FloatImage:
    """Bernoulli(0.7) pixels, blurred; what stays under 0.75 becomes 0; then [0, 1] is mapped to [-1, 1]."""
    pixels = generator.binomial(1, 0.7, shape).astype(np.float32)
    sigma = (noise.sigma, noise.sigma, noise.sigma if noise.blur_channels else 0)
    blurred = ndimage.gaussian_filter(pixels, sigma, mode=noise.border)
    blurred[blurred < 0.75] = 0  # noqa: PLR2004 - the recipe's own threshold
    return np.clip(2 * blurred - 1, -1, 1)


RECIPES: dict[str, Callable[[Noise, np.random.Generator, tuple[int, int, int]], FloatImage]] = {
    "gaussian": gaussian,
    "rademacher": rademacher,
    "blobs": blobs,
}


def to_pixels(noise: FloatImage) -> FloatImage:
    """Map noise from [-1, 1] to the pixel range [0, 1]."""
    return (noise + np.float32(1)) / np.float32(2)
