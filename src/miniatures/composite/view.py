"""The camera's place above the ground, and where it sees a point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from miniatures.fields import Field

_FURTHEST = 30.0


class View(NamedTuple):
    """A camera at height 1 that looks along z with an upright image plane, as a shift lens does.

    Image coordinates are those of `pixel_grid`. Lengths in the world are in heights of the camera: x to the right,
    height above the ground, z ahead.

    Attributes:
        horizon: Where the ground ends in the image, upwards.
        focal: Focal length in half image widths.
    """

    horizon: float
    focal: float

    def depth(self, y: float) -> float:
        """Return the distance z at which the ground is seen at height y of the image."""
        return self.focal / (self.horizon - y)

    def ground(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Return the points x, z of the ground that are seen at x, y; above the horizon those far away."""
        z = self.focal / np.maximum(self.horizon - y, self.focal / _FURTHEST)
        return x * z * (1.0 / self.focal), z

    def upright(self, x: Field, y: Field, z: float) -> tuple[Field, Field]:
        """Return the points x, height of an upright plane at distance z that are seen at x, y."""
        return x * (z / self.focal), 1.0 - (self.horizon - y) * (z / self.focal)

    def seen(self, x: Field, height: Field, z: float) -> tuple[Field, Field]:
        """Return the place in the image of points of an upright plane at distance z."""
        return x * (self.focal / z), self.horizon - (1.0 - height) * (self.focal / z)
