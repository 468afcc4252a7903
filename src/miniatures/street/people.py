"""Pedestrians."""

from __future__ import annotations

import numpy as np

from miniatures.street.labels import Label
from miniatures.street.solids import Disc, Rgb, Skin, Thing, chance, paint

_TONES = ((0.62, 0.42, 0.31), (0.45, 0.28, 0.19), (0.24, 0.13, 0.08), (0.1, 0.06, 0.04))


def clothes(rng: np.random.Generator) -> Rgb:
    """Draw the colour of a coat."""
    return paint(rng.random(), rng.uniform(0.05, 0.75), rng.uniform(0.2, 0.85))


def pedestrian(colour: Rgb, rng: np.random.Generator) -> Thing:
    """Build a person at the origin, seen from the front, the back or the side.

    Args:
        colour: Of the coat.
        rng: Source of chance of size, stride and the other colours.

    Returns:
        A person without a place.
    """
    tall = rng.uniform(1.52, 1.9)
    skin = Skin(_TONES[rng.integers(len(_TONES))], grain=0.05)
    hair = Skin(paint(0.07, 0.5, rng.uniform(0.08, 0.5)), grain=0.15)
    coat = Skin(colour, grain=0.12)
    legs = Skin(paint(0.62, rng.uniform(0.0, 0.5), rng.uniform(0.12, 0.5)), grain=0.1)
    stride, swing = rng.uniform(0.02, 0.2), rng.uniform(0.05, 0.35)
    wide = rng.uniform(0.17, 0.23) * tall / 1.7
    hip, shoulder = 0.48 * tall, 0.8 * tall
    discs = [
        Disc(side * (0.07 + stride / 2), hip / 2, 0.02 * side, 0.075, hip / 2 + 0.02, legs, side * stride * 0.9, 4)
        for side in (-1, 1)
    ]
    discs += [
        Disc(side * (wide + 0.03), 0.63 * tall, 0.0, 0.055, 0.17 * tall, coat, side * swing, 4) for side in (-1, 1)
    ]
    discs.append(Disc(0, (hip + shoulder) / 2 + 0.02, 0, wide, (shoulder - hip) / 2 + 0.07, coat, power=3.5, layer=1))
    discs.append(Disc(0, 0.92 * tall, 0, 0.085, 0.115, skin, layer=2))
    discs.append(Disc(0, 0.955 * tall, 0.0, 0.092, 0.08, hair, layer=3))
    if chance(rng, 0.3):
        bag = Skin(paint(rng.random(), 0.4, 0.35), grain=0.1)
        discs.append(Disc(rng.choice((-1, 1)) * (wide + 0.06), 0.42 * tall, -0.05, 0.12, 0.14, bag, power=4, layer=2))
    return Thing(Label.PEDESTRIAN, discs=tuple(discs))
