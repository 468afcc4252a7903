"""Cars."""

from __future__ import annotations

import numpy as np

from miniatures.street.labels import Label
from miniatures.street.solids import Box, Disc, Rgb, Skin, Thing, chance, paint

_QUARTER = float(np.pi / 2)
_TYRE = Skin((0.02, 0.02, 0.022), grain=0.05)
_RIM = Skin((0.3, 0.3, 0.32), grain=0.05, gloss=0.3)
_GLASS = Skin((0.03, 0.045, 0.06), grain=0.02, gloss=0.45)
_UNDER = Skin((0.03, 0.03, 0.03), grain=0.1)
_PLATE = Skin((0.7, 0.68, 0.55), grain=0.05)


def car_paint(rng: np.random.Generator) -> Rgb:
    """Draw the colour of a car: half are white to black, the others coloured."""
    if chance(rng, 0.5):
        return paint(0.6, rng.uniform(0.0, 0.08), float(rng.choice((0.22, 0.4, 0.62, 0.85))) * rng.uniform(0.9, 1.1))
    return paint(rng.choice((0.0, 0.02, 0.09, 0.35, 0.55, 0.6, 0.65)), rng.uniform(0.5, 0.9), rng.uniform(0.35, 0.8))


def car(colour: Rgb, rng: np.random.Generator) -> Thing:
    """Build a hatchback, a saloon or a van that stands at the origin and shows its tail.

    Args:
        colour: Of the paint.
        rng: Source of chance of the proportions.

    Returns:
        A car without a place.
    """
    van = chance(rng, 0.25)
    saloon = not van and chance(rng, 0.5)
    width, length = rng.uniform(1.7, 1.95), rng.uniform(3.7, 4.3) + 0.5 * (saloon or van)
    waist, height = rng.uniform(0.78, 0.92), rng.uniform(1.38, 1.55) + 0.4 * van
    coat = Skin(colour, grain=0.04, gloss=rng.uniform(0.3, 0.9))
    cabin = length * (0.72 if van else 0.5 if saloon else 0.62)
    middle = -length / 2 + cabin / 2 + (0.55 if saloon else 0.08)
    shorten = rng.uniform(0.72, 0.84)
    boxes = (
        Box(0, 0.14, 0, width * 0.94, 0.2, length * 0.97, _UNDER),
        Box(0, 0.3, 0, width, waist - 0.3, length, coat, narrow=0.97, shorten=0.97),
        Box(0, waist, middle, width * 0.94, height - waist, cabin, _GLASS, 0.84, shorten, layer=1),
        Box(0, height - 0.02, middle, width * 0.8, 0.06, cabin * (shorten + 0.02), coat, layer=2),
    )
    return Thing(Label.CAR, boxes, (*_wheels(width, length), *_lamps(width, length, waist)))


def _wheels(width: float, length: float) -> tuple[Disc, ...]:
    discs = []
    for side in (-1, 1):
        for end in (-1, 1):
            x, z, facing = side * (width / 2 + 0.01), end * length * 0.31, side * _QUARTER
            discs.append(Disc(x, 0.33, z, 0.33, 0.33, _TYRE, facing=facing, bulge=0, layer=3))
            discs.append(Disc(x, 0.33, z, 0.18, 0.18, _RIM, facing=facing, bulge=0, layer=4))
    return tuple(discs)


def _lamps(width: float, length: float, waist: float) -> tuple[Disc, ...]:
    """Return red lamps and a number plate at the tail, white lamps and a grille at the front."""
    tail, front = Skin((0.5, 0.02, 0.02), gloss=0.5, grain=0.0), Skin((0.8, 0.8, 0.75), gloss=0.8, grain=0.0)
    back, far = -length / 2 - 0.01, length / 2 + 0.01
    row = waist - 0.18
    lamps = [
        Disc(side * width * 0.39, row, z, 0.15, 0.09, skin, power=4, facing=facing, bulge=0, layer=3)
        for side in (-1, 1)
        for z, skin, facing in ((back, tail, 0.0), (far, front, 2 * _QUARTER))
    ]
    plate = Disc(0, 0.5, back, 0.26, 0.07, _PLATE, power=8, facing=0.0, bulge=0, layer=3)
    grille = Disc(0, row - 0.05, far, width * 0.24, 0.09, _UNDER, power=8, facing=2 * _QUARTER, bulge=0, layer=3)
    tyres = [
        Disc(side * width * 0.38, 0.2, z, 0.11, 0.2, _TYRE, power=4, facing=facing, bulge=0, layer=-1)
        for side in (-1, 1)
        for z, facing in ((back, 0.0), (far, 2 * _QUARTER))
    ]
    return (*lamps, plate, grille, *tyres)
