"""Where objects stand: how many there are and how large, before anybody knows what they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from miniatures.composite.spec import MOST_OBJECTS
from miniatures.composite.view import View

_TRIES = 40
_CLOSEST = 0.8
"""Distance of two objects' centres in terms of the sum of their radii: below 1 one hides a part of the other."""
_COUNTS = {2: 0.3, 3: 0.3, 4: 0.25, MOST_OBJECTS: 0.15}
"""Number of objects to its probability."""
_RADIUS, _SIZES = 0.2, 0.16
"""Usual radius of an object in heights of the camera, and the standard deviation of its logarithm."""


class Place(NamedTuple):
    """A place for one object.

    Attributes:
        x: Of its foot in the image, to the right.
        y: Of its foot in the image, upwards.
        radius: Of the disc as large as its silhouette, in half image widths.
        rotation: Turn in the image plane in radians.
        shear: Of its shape.
        tone: Mean of its reflectance over all pixels and channels.
    """

    x: float
    y: float
    radius: float
    rotation: float
    shear: float
    tone: float

    def gap(self, other: Place) -> float:
        """Return the distance of the centres in terms of the sum of the radii."""
        across, up = self.x - other.x, self.y + self.radius - other.y - other.radius
        return float(np.hypot(across, up)) / (self.radius + other.radius)


def draw_places(view: View, rng: np.random.Generator) -> tuple[Place, ...]:
    """Place the objects of one image so that each is in the picture and mostly unhidden.

    Args:
        view: The camera.
        rng: Source of chance.

    Returns:
        Two to five places, the furthest first.
    """
    wanted = int(rng.choice(list(_COUNTS), p=list(_COUNTS.values())))
    places = _attempt(wanted, view, rng)
    while len(places) < wanted:
        places = _attempt(wanted, view, rng)
    return tuple(sorted(places, key=lambda place: -place.y))


def _attempt(wanted: int, view: View, rng: np.random.Generator) -> list[Place]:
    """Place one object after the other, each at the first random place that is free; few where there is no more."""
    places: list[Place] = []
    for _ in range(_TRIES):
        candidate = _candidate(view, rng)
        if all(candidate.gap(other) >= _CLOSEST for other in places):
            places.append(candidate)
        if len(places) == wanted:
            break
    return places


def _candidate(view: View, rng: np.random.Generator) -> Place:
    # Evenly over the image: evenly over the ground, nearly all would be far away and small.
    y = rng.uniform(-0.94, min(0.3, view.horizon - 0.75))
    radius = _RADIUS * float(np.exp(_SIZES * np.clip(rng.standard_normal(), -2.0, 2.0))) * (view.horizon - y)
    return Place(
        x=rng.uniform(-1.0, 1.0) * max(1.0 - radius, 0.2),
        y=y,
        radius=radius,
        rotation=float(np.clip(rng.normal(0.0, 0.22), -0.5, 0.5)),
        shear=rng.uniform(-0.15, 0.15),
        tone=rng.uniform(0.16, 0.42),
    )
