"""What everything in a street is made of: tapered boxes and round discs with a skin."""

from __future__ import annotations

import colorsys
from typing import NamedTuple

import numpy as np

Rgb = tuple[float, float, float]
"""Share of red, green and blue light that a surface reflects, in linear light."""


def paint(hue: float, saturation: float, value: float) -> Rgb:
    """Return a reflectance from hue (a turn is 1), saturation and screen brightness, both clipped to [0, 1].

    >>> paint(0.0, 0.0, 1.0)
    (1.0, 1.0, 1.0)
    """
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return red**2.2, green**2.2, blue**2.2


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with a probability."""
    return bool(rng.random() < probability)


class Skin(NamedTuple):
    """What a surface looks like.

    Attributes:
        base: First colour.
        accent: Second colour; None is the first again.
        texture: Key of `TEXTURES`: where the second colour lies.
        frequency: Repetitions of the texture per metre.
        phase: Of the texture, in [0, 1).
        grain: Relative strength of fine irregularities.
        gloss: 0 is matt, 1 reflects the sun like lacquer.
    """

    base: Rgb
    accent: Rgb | None = None
    texture: str = "plain"
    frequency: float = 1.0
    phase: float = 0.0
    grain: float = 0.1
    gloss: float = 0.0


class Box(NamedTuple):
    """An upright box without a bottom, in metres; `x`, `y`, `z` (right, up, away) is the centre of its foot.

    Attributes:
        width: Along x.
        height: Along y.
        length: Along z.
        narrow: Width of the top in widths of the foot.
        shorten: The same for the length.
        shift: How much further along z the top is than the foot.
        layer: Higher layers are painted over lower ones of the same thing.
    """

    x: float
    y: float
    z: float
    width: float
    height: float
    length: float
    skin: Skin
    narrow: float = 1.0
    shorten: float = 1.0
    shift: float = 0.0
    layer: int = 0


class Disc(NamedTuple):
    """A superellipse with the relief of an ellipsoid, in metres, around `x`, `y`, `z`.

    Attributes:
        rx: Half width.
        ry: Half height.
        roll: Turn in its own plane in radians, counter-clockwise.
        power: 2 is an ellipse, 4 a rounded rectangle.
        ragged: Relative irregularity of the outline.
        facing: Direction of its outer side in radians: 0 to the front of the thing, pi/2 to its right. None always
            faces the camera; other discs are invisible from behind.
        bulge: 1 is shaded like a ball, 0 is flat.
        layer: Higher layers are painted over lower ones of the same thing.
    """

    x: float
    y: float
    z: float
    rx: float
    ry: float
    skin: Skin
    roll: float = 0.0
    power: float = 2.0
    ragged: float = 0.0
    facing: float | None = None
    bulge: float = 1.0
    layer: int = 0


class Thing(NamedTuple):
    """One object, wall or piece of ground.

    Attributes:
        label: Value of `Label`.
        boxes: Its boxes, in its own coordinates.
        discs: Its discs, in its own coordinates.
        x: Where it stands, right of the middle of the road, in metres.
        z: Where it stands, ahead of the camera, in metres.
        y: Height of what it stands on, in metres.
        yaw: Turn around the vertical in radians; 0 shows the camera its front.
        scale: Of all its lengths.
        upright: Whether it stands on the ground and casts a shadow.
    """

    label: int
    boxes: tuple[Box, ...] = ()
    discs: tuple[Disc, ...] = ()
    x: float = 0.0
    z: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    scale: float = 1.0
    upright: bool = True


_FOOT_HEIGHT = 0.4
"""What is lower than this, in metres, touches the ground."""


def foot_radius(thing: Thing) -> float:
    """Return half the width of what touches the ground, in metres: the reach of the contact shadow."""
    boxes = [abs(box.x) + box.width / 2 for box in thing.boxes if box.y < _FOOT_HEIGHT]
    discs = [abs(disc.x) + disc.rx for disc in thing.discs if disc.y - disc.ry < _FOOT_HEIGHT]
    return thing.scale * max([0.1, *boxes, *discs])
