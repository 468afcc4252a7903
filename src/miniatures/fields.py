"""Images as fields: pixel grids, soft thresholds and smooth noise, all in float32."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""A quantity per pixel, `(H, W)` float32, or an image, `(3, H, W)`: channels first, because it is much faster."""


@lru_cache(maxsize=8)
def pixel_grid(size: int) -> tuple[Field, Field]:
    """Return the coordinates of the pixel centres.

    Args:
        size: Height and width of the grid.

    Returns:
        x to the right and y upwards, `(size, size)` each, in [-1, 1]. Read-only, because they are shared.
    """
    line = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(line, -line)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def ramp(value: Field, low: float, high: float) -> Field:
    """Return a smooth step: 0 below `low`, 1 above `high` (or the reverse when `low > high`)."""
    t: Field = np.clip((value - low) * (1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def norm(x: Field, y: Field) -> Field:
    """Return the length of the vectors (x, y); unlike `np.hypot` it is vectorised, and no value here can overflow."""
    return np.sqrt(x * x + y * y)


def rotated(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Return the coordinates in axes that are turned by `angle` radians counter-clockwise."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def halved(values: Field) -> Field:
    """Return the field at half the resolution: the mean of each 2x2 block, `(..., H/2, W/2)`."""
    rows = values[..., 0::2, :] + values[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * 0.25


def blurred(values: Field, amount: float) -> Field:
    """Return the field mixed with its 1-2-1 binomial blur; edges repeat.

    Args:
        values: `(..., H, W)`.
        amount: 0 leaves the field as it is, 1 blurs fully.
    """
    side = amount * 0.25
    tall = values * (1.0 - 2.0 * side)
    tall[..., 1:, :] += values[..., :-1, :] * side
    tall[..., :-1, :] += values[..., 1:, :] * side
    tall[..., [0, -1], :] += values[..., [0, -1], :] * side
    wide = tall * (1.0 - 2.0 * side)
    wide[..., 1:] += tall[..., :-1] * side
    wide[..., :-1] += tall[..., 1:] * side
    wide[..., [0, -1]] += tall[..., [0, -1]] * side
    return wide


def smooth_noise(rng: np.random.Generator, size: int, rows: int, columns: int) -> Field:
    """Return band-limited noise, interpolated from a coarse grid of normal numbers.

    Args:
        rng: Source of chance.
        size: Height and width of the field.
        rows: Cells of the coarse grid from top to bottom.
        columns: Cells of the coarse grid from left to right.

    Returns:
        `(size, size)`, mean 0 and standard deviation below 1.
    """
    coarse = rng.standard_normal((rows + 3, columns + 3), dtype=np.float32)
    return _spline(size, rows) @ coarse @ _spline(size, columns).T


def fractal_noise(rng: np.random.Generator, size: int, cells: int, octaves: int = 4) -> Field:
    """Return noise with detail at every scale, `(size, size)`, mean 0 and standard deviation near 0.6."""
    total = smooth_noise(rng, size, cells, cells)
    for octave in range(1, octaves):
        fine = min(cells * 2**octave, size)
        total = total + np.float32(0.6**octave) * smooth_noise(rng, size, fine, fine)
    return total


@lru_cache(maxsize=256)
def _spline(size: int, cells: int) -> Field:
    """Weights of uniform cubic B-splines, `(size, cells + 3)`."""
    place = (np.arange(size) + 0.5) / size * cells
    cell = np.minimum(place.astype(int), cells - 1)
    t = place - cell
    weights = np.zeros((size, cells + 3), np.float32)
    cubic = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for offset, weight in enumerate(cubic):
        weights[np.arange(size), cell + offset] = weight / 6
    return weights
