"""What stands on a pavement: trees, lamps, signs and small things."""

from __future__ import annotations

import numpy as np

from miniatures.street.labels import Label
from miniatures.street.solids import Box, Disc, Rgb, Skin, Thing, chance, paint

_WHITE = (0.75, 0.75, 0.74)


def greenery(rng: np.random.Generator) -> Skin:
    """Draw the skin of leaves: fresh to dry."""
    hue, value = rng.uniform(0.2, 0.34), rng.uniform(0.32, 0.55)
    light = paint(hue, rng.uniform(0.45, 0.7), value)
    return Skin(light, paint(hue + 0.03, 0.6, value * 0.5), "foliage", 1.0, rng.random(), 0.25)


def tree(leaves: Skin, rng: np.random.Generator, lumps: int = 7) -> Thing:
    """Build a tree with a round or a pointed crown of so many lumps."""
    stem, crown = rng.uniform(1.7, 2.6), rng.uniform(1.0, 1.9)
    bark = Skin(paint(0.07, 0.35, rng.uniform(0.2, 0.4)), grain=0.3)
    pointed = chance(rng, 0.25)
    discs = []
    for step in range(lumps):
        reach = crown * (0.9 - 0.13 * step if pointed else 0.75)
        x = 0.0 if pointed else crown * 0.6 * np.cos(2.4 * step)
        y = stem + crown * (0.3 + 0.32 * step if pointed else 0.75 + 0.5 * np.sin(2.4 * step))
        z = 0.0 if pointed else crown * 0.4 * np.sin(1.7 * step)
        discs.append(Disc(float(x), float(y), float(z), reach, reach * 0.85, leaves, ragged=0.09, layer=1, bulge=0.9))
    return Thing(Label.VEGETATION, (Box(0, 0, 0, 0.24, stem + crown * 0.5, 0.24, bark, 0.7, 0.7),), tuple(discs))


def bush(leaves: Skin, rng: np.random.Generator) -> Thing:
    """Build a bush, about a metre high."""
    size = rng.uniform(0.4, 0.75)
    discs = tuple(
        Disc(float(x), size * float(y), 0.0, size * 0.8, size * 0.75, leaves, ragged=0.1)
        for x, y in ((-0.4 * size, 0.65), (0.45 * size, 0.6), (0.0, 0.95))
    )
    return Thing(Label.VEGETATION, discs=discs)


def lamp(metal: Rgb, side: int, rng: np.random.Generator) -> Thing:
    """Build a street lamp whose arm reaches over the road; `side` is -1 on the left and 1 on the right."""
    tall, skin = rng.uniform(5.0, 7.0), Skin(metal, grain=0.05, gloss=0.2)
    arm = Box(-side * 0.6, tall, 0, 1.3, 0.1, 0.1, skin)
    head = Box(-side * 1.3, tall - 0.08, 0, 0.5, 0.14, 0.22, skin)
    return Thing(Label.POLE, (Box(0, 0, 0, 0.17, tall, 0.17, skin, 0.7, 0.7), arm, head))


def sign(rng: np.random.Generator) -> tuple[Thing, Thing]:
    """Build a traffic sign: its pole, and the plate that hangs on it (round, square, a diamond or a triangle)."""
    tall, size = rng.uniform(2.1, 2.7), rng.uniform(0.38, 0.52)
    pole = Thing(Label.POLE, (Box(0, 0, 0, 0.1, tall, 0.1, Skin((0.35, 0.35, 0.36), grain=0.05, gloss=0.2)),))
    red = paint(0.99, 0.85, 0.75)
    ring = Skin(_WHITE, red, "border", 1 / size, grain=0.02)
    blue, yellow = Skin(paint(0.6, 0.8, 0.65), grain=0.02), Skin(paint(0.12, 0.85, 0.9), grain=0.02)
    plate = Disc(0, tall, -0.08, size, size, ring, facing=0, bulge=0)
    square = plate._replace(skin=blue, power=8)
    diamond = plate._replace(skin=yellow, power=8, roll=float(np.pi / 4))
    kinds = (
        Thing(Label.TRAFFIC_SIGN, discs=(plate,)),
        Thing(Label.TRAFFIC_SIGN, discs=(square,)),
        Thing(Label.TRAFFIC_SIGN, discs=(diamond,)),
        Thing(Label.TRAFFIC_SIGN, _triangle(tall - size * 0.7, size, red)),
    )
    return pole, kinds[rng.integers(len(kinds))]._replace(upright=False)


def _triangle(foot: float, size: float, red: Rgb) -> tuple[Box, ...]:
    inner = size * 1.15
    return (
        Box(0, foot, -0.08, size * 2.2, size * 1.9, 0.04, Skin(red, grain=0.02), narrow=0.05),
        Box(0, foot + 0.1, -0.11, inner, inner * 0.86, 0.02, Skin(_WHITE, grain=0.02), narrow=0.05, layer=1),
    )


def small_thing(rng: np.random.Generator) -> Thing:
    """Build a bin, a box on the wall side of the pavement, a hydrant or a bollard: StreetHazards' `other`."""
    skin = Skin(paint(rng.choice((0.0, 0.1, 0.33, 0.6)), rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.7)), grain=0.1)
    dark = Skin((0.04, 0.04, 0.045), grain=0.1)
    white = Skin(_WHITE)
    kinds = (
        (Box(0, 0, 0, 0.6, 1.0, 0.6, skin, 1.1, 1.1), Box(0, 1.0, 0, 0.72, 0.1, 0.72, dark, layer=1)),
        (Box(0, 0, 0, 0.9, 1.3, 0.45, skin), Box(0, 1.3, 0, 0.98, 0.06, 0.52, dark, layer=1)),
        (Box(0, 0, 0, 0.3, 0.75, 0.3, skin, 0.8, 0.8), Box(0, 0.5, 0, 0.5, 0.14, 0.16, skin, layer=1)),
        (Box(0, 0, 0, 0.22, 1.0, 0.22, dark), Box(0, 0.75, 0, 0.25, 0.12, 0.25, white, layer=1)),
    )
    return Thing(Label.OTHER, kinds[rng.integers(len(kinds))])
