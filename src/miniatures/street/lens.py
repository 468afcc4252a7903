"""From light to the pixels of a photograph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniatures.fields import Field, blurred, halved

SUPERSAMPLING = 2
"""Subpixels per pixel and axis."""


class Lens(NamedTuple):
    """What the camera does to an image.

    Attributes:
        exposure: Factor of the sensor's sensitivity.
        balance: Factors of red, green and blue.
        contrast: Exponent of the tone curve around middle grey.
        softness: Blur, 0 to 1.
        vignette: Loss of light in the corners.
        grain: Standard deviation of the sensor's noise, in units of white.
    """

    exposure: float
    balance: tuple[float, float, float]
    contrast: float
    softness: float
    vignette: float
    grain: float


def photographed(light: Field, lens: Lens, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take the picture.

    Args:
        light: Linear light, `(3, 2 height, 2 width)`.
        lens: The camera.
        rng: Source of chance of the noise.

    Returns:
        `(height, width, 3)` in sRGB.
    """
    image = halved(light)
    height, width = image.shape[1:]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (height, width))
    fall = 1.0 - 0.5 * lens.vignette * (x * x + (y * y)[:, None])
    image = blurred(image * fall, lens.softness) * (np.array(lens.balance, np.float32) * lens.exposure)[:, None, None]
    # A shoulder keeps the sky from being cut off; below 0.5 the response is all but linear.
    image = image / np.sqrt(np.sqrt(1.0 + np.square(np.square(image))))
    encoded = np.power(np.maximum(image, 0.0) * (1 / 0.18), lens.contrast / 2.2) * np.float32(0.18 ** (1 / 2.2))
    noise = rng.standard_normal(image.shape, dtype=np.float32) * lens.grain
    pixels = np.clip((encoded + noise) * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))
