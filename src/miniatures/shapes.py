"""Body plans as signed distance functions.

Each takes object coordinates (x to the right, y towards the head, the body about 1.2 across) and the trait `form` in
[0, 1], and returns the distance to the outline: negative inside, and near enough to exact for shading and soft edges.
The formulas are those of Inigo Quilez, "2D distance functions", https://iquilezles.org/articles/distfunctions2d/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from miniatures.fields import Field, norm


class Body(NamedTuple):
    """A body plan.

    Attributes:
        distance: Signed distance of the points x, y for a value of `form`.
        half: Half width and half height, from where appendages reach out.
        hollow: Radius of the hole in the middle, where no appendage shows.
    """

    distance: Callable[[Field, Field, float], Field]
    half: tuple[float, float]
    hollow: float = 0.0


Pair = tuple[float, float]


def capsule(x: Field, y: Field, start: Pair, end: Pair, radii: Pair) -> Field:
    """Return the distance to a segment whose radius runs from the first to the second value."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    px, py = x - start[0], y - start[1]
    along = np.clip((px * dx + py * dy) * (1.0 / (dx * dx + dy * dy)), 0.0, 1.0)
    return norm(px - dx * along, py - dy * along) - (radii[0] + (radii[1] - radii[0]) * along)


def union(shapes: Sequence[Field]) -> Field:
    """Return the distance to the nearest of several shapes."""
    nearest: Field = np.minimum.reduce(shapes)
    return nearest


def smooth_union(first: Field, second: Field, softness: float) -> Field:
    """Return the union of two shapes with a fillet of about `softness` where they meet."""
    blend = np.maximum(softness - np.abs(first - second), 0.0)
    return np.minimum(first, second) - blend * blend * (0.25 / softness)


def _oval(x: Field, y: Field, form: float) -> Field:
    wide = x / (1.0 + (form - 0.5) * 0.9 * np.clip(y, -0.8, 0.8))
    return (norm(wide / 0.52, y / 0.7) - 1.0) * 0.56


def _slab(x: Field, y: Field, form: float) -> Field:
    corner = 0.06 + 0.24 * form
    px, py = np.abs(x) - (0.53 - corner), np.abs(y) - (0.53 - corner)
    outside = norm(np.maximum(px, 0.0), np.maximum(py, 0.0))
    return outside + np.minimum(np.maximum(px, py), 0.0) - corner


def _lobes(x: Field, y: Field, count: int, radius: float, depth: float) -> Field:
    reach = norm(x, y)
    angle = np.arctan2(x, y) * count
    wave = radius * (1.0 + depth * np.cos(angle))
    slope = radius * depth * count * np.sin(angle) / np.maximum(reach, 0.3)
    distance: Field = (reach - wave) / np.sqrt(1.0 + slope * slope)
    return distance


def _star(x: Field, y: Field, form: float) -> Field:
    return _lobes(x, y, 5, 0.58, 0.2 + 0.22 * form)


def _trefoil(x: Field, y: Field, form: float) -> Field:
    out = 0.34 + 0.1 * form
    circles = [norm(x - out * float(np.sin(a)), y - out * float(np.cos(a))) - 0.36 for a in (0.0, 2.094, 4.189)]
    return smooth_union(smooth_union(circles[0], circles[1], 0.12), circles[2], 0.12)


def _drop(x: Field, y: Field, form: float) -> Field:
    return capsule(x, y, (0.0, -0.22), (0.0, 0.6 + 0.25 * form), (0.52, 0.05))


def _kidney(x: Field, y: Field, form: float) -> Field:
    disc = norm(x / 1.08, y) - 0.6
    notch = 0.4 - norm(x, y + 0.62 - 0.16 * form)
    return -smooth_union(-disc, -notch, 0.16)


def _ring(x: Field, y: Field, form: float) -> Field:
    from_middle: Field = np.abs(norm(x, y) - 0.5)
    return from_middle - (0.15 + 0.12 * form)


def _gourd(x: Field, y: Field, form: float) -> Field:
    large = norm(x, y + 0.26) - 0.48
    return smooth_union(large, norm(x, y - 0.46) - (0.2 + 0.16 * form), 0.22)


def _chain(x: Field, y: Field, form: float) -> Field:
    taper = 0.12 * (form - 0.5)
    middle = norm(x, y) - 0.36
    ends = norm(x, y - 0.54) - (0.34 + taper), norm(x, y + 0.54) - (0.34 - taper)
    return smooth_union(smooth_union(ends[0], middle, 0.05), ends[1], 0.05)


def _wedge(x: Field, y: Field, form: float) -> Field:
    corner = 0.05 + 0.17 * form
    reach = 0.62 - corner
    px, py = np.abs(x) - reach, y + 0.12 + reach / 1.732
    fold = px + 1.732 * py > 0.0
    px, py = np.where(fold, (px - 1.732 * py) * 0.5, px), np.where(fold, (-1.732 * px - py) * 0.5, py)
    px = px - np.clip(px, -2.0 * reach, 0.0)
    distance: Field = -norm(px, py) * np.sign(py) - corner
    return distance


BODIES: dict[str, Body] = {
    "oval": Body(_oval, (0.52, 0.7)),
    "slab": Body(_slab, (0.53, 0.53)),
    "star": Body(_star, (0.5, 0.55)),
    "trefoil": Body(_trefoil, (0.6, 0.62)),
    "drop": Body(_drop, (0.45, 0.7)),
    "kidney": Body(_kidney, (0.56, 0.6)),
    "ring": Body(_ring, (0.68, 0.68), hollow=0.5),
    "gourd": Body(_gourd, (0.42, 0.7)),
    "chain": Body(_chain, (0.36, 0.86)),
    "wedge": Body(_wedge, (0.5, 0.6)),
}
