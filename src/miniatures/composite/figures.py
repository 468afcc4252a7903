"""One object in its place: an upright figure that stands on the ground."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from miniatures.camera import SUPERSAMPLING
from miniatures.composite.placing import Place
from miniatures.fields import Field, halved
from miniatures.organism import Organism, build
from miniatures.scene import Scene
from miniatures.traits import Traits

_MEASURING_PX = 48
_MEASURING_SCALE = 0.4
_MARGIN, _MARGIN_PX = 0.16, 4
"""Room in the window for what is too thin to be measured, such as the tip of a spike."""
_LEAST_SHARE = 0.05


class Individual(NamedTuple):
    """What an object is, wherever it stands.

    Attributes:
        look: Keys of `BODIES`, `PATTERNS` and `LIMBS`.
        traits: Its own.
        phase: Where its pattern starts, in [0, 1).
    """

    look: tuple[str, str, str]
    traits: Traits
    phase: float


class Figure(NamedTuple):
    """An object in its place, in a square window of the image that may reach beyond the image.

    Attributes:
        place: Where it stands.
        left: First column of the window in pixels of the image.
        top: First row of the window.
        organism: Its fields over the window, at `SUPERSAMPLING` times the image's resolution.
        cover: Share of each pixel that it covers, `(side, side)`.
    """

    place: Place
    left: int
    top: int
    organism: Organism
    cover: Field


class _Extent(NamedTuple):
    """Ends of an individual in object units, and the radius of the disc as large as its silhouette."""

    left: float
    right: float
    bottom: float
    top: float
    radius: float


def stand(individual: Individual, place: Place, scene: Scene, size: int) -> Figure:
    """Build an object in its place: with its foot on the ground, and as large and as bright as the place says.

    Args:
        individual: What it is.
        place: Where it stands.
        scene: Of the image; its pose is replaced by that of the place.
        size: Height and width of the image in pixels.

    Returns:
        The object, not yet lit.
    """
    turned = replace(scene, rotation=place.rotation, shear=place.shear)
    pose = replace(turned, centre_x=0.0, centre_y=0.0, tilt_x=0.0, tilt_y=0.0)
    extent = _measured(individual, pose)
    unit = place.radius / extent.radius * size / 2
    reach = unit * max(extent.right - extent.left, extent.top - extent.bottom)
    side = int(np.ceil(reach * (1.0 + _MARGIN))) + _MARGIN_PX
    middle, centre = (extent.left + extent.right) / 2, (extent.bottom + extent.top) / 2
    # Column and row of the object's own origin; its lowest point is to touch the ground at the place's y.
    column = (place.x + 1.0) * size / 2 - unit * middle
    row = (1.0 - place.y) * size / 2 + unit * extent.bottom
    left, top = round(column + unit * middle - side / 2), round(row - unit * centre - side / 2)
    x, y = (column - left) * 2.0 / side - 1.0, 1.0 - (row - top) * 2.0 / side
    organism = build(*individual, replace(pose, scale=2.0 * unit / side, centre_x=x, centre_y=y), side * SUPERSAMPLING)
    return Figure(place, left, top, _toned(organism, place.tone), halved(organism.cover))


def _measured(individual: Individual, pose: Scene) -> _Extent:
    cover = build(*individual, replace(pose, scale=_MEASURING_SCALE), _MEASURING_PX).cover
    unit, middle = _MEASURING_SCALE * _MEASURING_PX / 2, _MEASURING_PX / 2
    (left, right), (top, bottom) = _ends(cover.max(axis=0)), _ends(cover.max(axis=1))
    radius = float(np.sqrt(cover.sum() / np.pi))
    return _Extent(
        (left - middle) / unit, (right - middle) / unit, (middle - bottom) / unit, (middle - top) / unit, radius / unit
    )


def _ends(share: Field) -> tuple[float, float]:
    """Return where the covered part of a line of pixels starts and ends, to a fraction of a pixel."""
    covered = np.flatnonzero(share > _LEAST_SHARE)
    first, last = int(covered[0]), int(covered[-1])
    return first + 1.0 - float(share[first]), last + float(share[last])


def _toned(organism: Organism, tone: float) -> Organism:
    mean = float((organism.skin * organism.cover).sum() / (3.0 * organism.cover.sum()))
    return organism._replace(skin=organism.skin * (tone / mean))
