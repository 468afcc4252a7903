"""Colours in linear light."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniatures.fields import Field

Colour = NDArray[np.floating[Any]]
"""Red, green, blue in linear light, `(3, 1, 1)` float32, 0 is black and 1 is white paper in full light."""


def colour(red: float, green: float, blue: float) -> Colour:
    """Return three values of linear light in the shape that multiplies an image."""
    return np.array([[[red]], [[green]], [[blue]]], np.float32)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return the colour as linear light.

    Args:
        hue: A turn is 1; any real number.
        saturation: Clipped to [0, 1].
        value: Clipped to [0, 1]; as a screen shows it, so 0.5 looks half as bright as 1.
    """
    rgb = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return colour(*(channel**2.2 for channel in rgb))


def mix(first: Colour | Field, second: Colour | Field, weight: Field) -> Field:
    """Return `first` where the weight is 0 and `second` where it is 1.

    Args:
        first: A colour `(3, 1, 1)` or an image `(3, H, W)`.
        second: The same.
        weight: `(H, W)` in [0, 1].

    Returns:
        `(3, H, W)`.
    """
    return first + (second - first) * weight
