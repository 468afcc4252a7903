"""The camera's place, and where it sees a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

NEAREST = 0.6
"""Distance in metres up to which points are seen; nearer ones are moved there."""


@dataclass(frozen=True)
class View:
    """A camera that looks along z with an upright image plane, as a shift lens does.

    Attributes:
        x: Right of the middle of the road, in metres.
        height: Above the road, in metres.
        focal: In subpixels.
        middle: Column of the vanishing point, in subpixels from the left.
        horizon: Row of the horizon, in subpixels from the top.
        rows: Height of the image in subpixels.
        columns: Width of the image in subpixels.
    """

    x: float
    height: float
    focal: float
    middle: float
    horizon: float
    rows: int
    columns: int

    def seen(self, points: Floats) -> Floats:
        """Project points `(..., 3)` to columns and rows `(..., 2)` in subpixels."""
        shrink = self.focal / np.maximum(points[..., 2], NEAREST)
        across = self.middle + (points[..., 0] - self.x) * shrink
        return np.stack([across, self.horizon - (points[..., 1] - self.height) * shrink], axis=-1)

    def window(self, left: float, top: float, side: float, limit: int) -> View:
        """Return the view through a square window of the image plane, which may reach beyond the image.

        Args:
            left: Of the window, in subpixels.
            top: Of the window, in subpixels.
            side: Of the window, in subpixels.
            limit: Larger windows are scaled down to this many rows, an even number.

        Returns:
            A view whose image is the window.
        """
        scale = min(1.0, limit / side)
        size = max(2, 2 * round(side * scale / 2))
        middle, horizon = (self.middle - left) * scale, (self.horizon - top) * scale
        return View(self.x, self.height, self.focal * scale, middle, horizon, size, size)

    def outlines(self, corners: Floats) -> list[list[float]]:
        """Project the corners `(n, m, 3)` of n polygons to n lists x0, y0, x1, y1, ... in subpixels."""
        flat: list[list[float]] = self.seen(corners).reshape(len(corners), 2 * corners.shape[1]).tolist()
        return flat

    def matrix(self) -> Floats:
        """Return the `(3, 3)` matrix from a point relative to the camera to its homogeneous column and row."""
        return np.array([[self.focal, 0.0, self.middle], [0.0, -self.focal, self.horizon], [0.0, 0.0, 1.0]])

    def centre(self) -> Floats:
        """Return where the camera is, `(3,)` in metres."""
        return np.array([self.x, self.height, 0.0])
