"""The street without anything in it: ground, houses, walls, fences, hedges and what lies behind them."""

from __future__ import annotations

import numpy as np

from miniatures.street.fittings import bush, greenery, tree
from miniatures.street.labels import Label
from miniatures.street.solids import Box, Disc, Skin, Thing, chance, paint
from miniatures.street.town import BORDERS, Town
from miniatures.street.view import NEAREST

FAR = 130.0
"""Where the street ends, in metres."""
_STOREY = 3.0
_DEPTH = 9.0
_LAST_WARM_HUE = 0.17
_HIGHEST_GABLE = 4
_LOOKED_AT = 35.0
"""Distance in metres from which on the crown of a tree needs less detail."""


def corridor(town: Town, rng: np.random.Generator) -> list[Thing]:
    """Build ground and borders of one street, from the furthest to the nearest.

    Args:
        town: The style.
        rng: Source of chance of this street.

    Returns:
        Things that the objects in the street hide, never the other way round.
    """
    sides = [thing for side in (-1, 1) for thing in _side(town, side, rng)]
    return [*_end(town, rng), *_ground(town, rng), *sides]


def _strip(label: int, low: float, high: float, y: float, skin: Skin, height: float = 0.0) -> Thing:
    length = FAR - NEAREST
    box = Box((low + high) / 2, y, NEAREST + length / 2, high - low, height, length, skin)
    return Thing(label, (box,), upright=False)


def _ground(town: Town, rng: np.random.Generator) -> list[Thing]:
    kerb, edge, far = town.half_road, town.half_road + town.walk, town.half_street + 60.0
    grey = rng.uniform(0.36, 0.5)
    asphalt = Skin(paint(0.62, 0.04, grey), grain=0.1)
    slabs = paint(0.09, rng.uniform(0.02, 0.14), rng.uniform(0.52, 0.68))
    paving = Skin(slabs, (0.6 * slabs[0], 0.6 * slabs[1], 0.6 * slabs[2]), "slabs", rng.uniform(0.7, 1.3), grain=0.1)
    grass = greenery(rng)._replace(frequency=0.5)
    things = [_strip(Label.VEGETATION, -far, far, -0.02, grass), _strip(Label.ROAD, -kerb, kerb, 0.0, asphalt)]
    things += _lines(town, rng)
    for low, high in ((-edge, -kerb), (kerb, edge)):
        things.append(_strip(Label.SIDEWALK, low, high, 0.0, paving, height=0.14))
    return things


def _lines(town: Town, rng: np.random.Generator) -> list[Thing]:
    white = Skin(paint(0.0, 0.0, rng.uniform(0.72, 0.88)), grain=0.12)
    middle = Skin(paint(town.line_hue, town.line_saturation, 0.82), grain=0.12)
    solid = chance(rng, 0.5)
    dashed = [side * lane * town.lane for lane in range(1, town.lanes) for side in (-1, 1)]
    things = [_strip(Label.ROAD_LINE, x - 0.07, x + 0.07, 0.0, white) for x in _edges(town)]
    if solid:
        things += [_strip(Label.ROAD_LINE, x - 0.06, x + 0.06, 0.0, middle) for x in (-0.12, 0.12)]
    else:
        dashed.append(0.0)
    start = rng.uniform(0.0, 6.0)
    boxes = tuple(Box(x, 0, z, 0.14, 0, 2.6, white) for x in dashed for z in start + np.arange(2.0, 60.0, 6.0))
    if chance(rng, 0.3):
        z, reach = rng.uniform(8.0, 22.0), town.half_road - 0.4
        boxes += tuple(Box(float(x), 0, z, 0.45, 0, 2.6, white) for x in np.arange(-reach, reach, 0.95))
    return [*things, Thing(Label.ROAD_LINE, boxes, upright=False)] if boxes else things


def _edges(town: Town) -> tuple[float, float]:
    edge = town.lanes * town.lane
    return -edge, edge


def _side(town: Town, side: int, rng: np.random.Generator) -> list[Thing]:
    """Line one side of the street, from its far end to the camera."""
    front: list[Thing] = []
    back: list[Thing] = []
    z = 2.0 - rng.uniform(0.0, 6.0)
    while z < FAR - 8.0:
        kind = BORDERS[int(np.searchsorted(np.cumsum(town.borders)[:-1], rng.random()))]
        length = rng.uniform(8.0, 16.0) if kind == "building" else rng.uniform(6.0, 18.0)
        low, high = max(z, NEAREST), z + length
        if high > low + 1.0:
            (front if kind == "building" else back).extend(_behind(town, side, kind, low, high, rng))
            front.extend(_border(town, side, kind, low, high, rng))
        z = high + (rng.uniform(0.0, 2.0) if chance(rng, 0.4) else 0.0)
    return [*sorted(back, key=lambda one: -one.z), *sorted(front, key=lambda one: -one.z)]


def _border(town: Town, side: int, kind: str, low: float, high: float, rng: np.random.Generator) -> list[Thing]:
    edge = side * town.half_street
    if kind == "building":
        return [_house(town, edge + side * _DEPTH / 2, low, high, rng)]
    length, middle = high - low, (low + high) / 2
    if kind == "wall":
        colour = paint(rng.uniform(0.0, 0.1), rng.uniform(0.05, 0.5), rng.uniform(0.35, 0.7))
        skin = Skin(colour, (0.42, 0.4, 0.37), "bricks", rng.uniform(1.5, 2.5), rng.random(), 0.15)
        wall = Box(0, 0, 0, 0.3, rng.uniform(1.3, 2.4), length, skin)
        coping = Box(0, wall.height, 0, 0.42, 0.1, length, Skin((0.35, 0.34, 0.32)), layer=1)
        return [Thing(Label.WALL, (wall, coping), x=edge, z=middle)]
    if kind == "fence":
        wood = chance(rng, 0.6)
        colour = paint(0.08, 0.45, rng.uniform(0.4, 0.75)) if wood else paint(0.6, 0.1, rng.uniform(0.3, 0.8))
        skin = Skin(colour, (0.045, 0.06, 0.03), "pickets", rng.uniform(2.2, 3.4), rng.random(), 0.15)
        return [Thing(Label.FENCE, (Box(0, 0, 0, 0.06, rng.uniform(1.15, 1.7), length, skin),), x=edge, z=middle)]
    leaves = greenery(rng)
    hedge = Box(0, 0, 0, 0.9, rng.uniform(0.9, 1.9), length, leaves, narrow=0.85)
    tops = tuple(
        Disc(0, hedge.height, float(z), 0.7, 0.3, leaves, ragged=0.12) for z in np.arange(-length / 2, length / 2)
    )
    return [Thing(Label.VEGETATION, (hedge,), tops, x=edge + side * 0.4, z=middle)]


def _house(town: Town, x: float, low: float, high: float, rng: np.random.Generator) -> Thing:
    """Build a house whose longer side follows the street."""
    hue = town.hues[rng.integers(len(town.hues))] + rng.normal(0.0, 0.015)
    # A saturated blue or green house is rarer than a saturated brick one.
    pale = 1.0 if hue < _LAST_WARM_HUE else 0.35
    colour = paint(hue, pale * town.vividness * rng.uniform(0.3, 1.3), rng.uniform(0.5, 0.88))
    storeys = int(rng.integers(town.storeys[0], town.storeys[1] + 1))
    glass = paint(0.58, rng.uniform(0.1, 0.45), rng.uniform(0.16, 0.38))
    texture = "windows" if chance(rng, 0.75) else "ribbons"
    skin = Skin(colour, glass, texture, 1 / _STOREY * rng.uniform(0.9, 1.1), rng.random(), 0.08)
    height, length = storeys / skin.frequency, high - low
    roof = Skin(paint(rng.choice((0.02, 0.05, 0.6)), rng.uniform(0.1, 0.6), rng.uniform(0.25, 0.5)), grain=0.2)
    boxes = [Box(0, 0, 0, _DEPTH, height, length, skin)]
    if storeys <= _HIGHEST_GABLE and chance(rng, 0.6):
        boxes.append(Box(0, height, 0, _DEPTH + 0.7, rng.uniform(1.8, 3.2), length + 0.4, roof, 0.08, 0.9, layer=1))
    else:
        boxes.append(Box(0, height, 0, _DEPTH + 0.4, 0.4, length + 0.3, roof, layer=1))
    return Thing(Label.BUILDING, tuple(boxes), x=x, z=(low + high) / 2)


def _behind(town: Town, side: int, kind: str, low: float, high: float, rng: np.random.Generator) -> list[Thing]:
    """Fill what is seen over a low border: gardens with trees, and houses that stand back."""
    if kind == "building":
        return []
    edge, middle = side * town.half_street, (low + high) / 2
    things = []
    if chance(rng, 0.55):
        things.append(_house(town, edge + side * (7.0 + _DEPTH / 2), low, high, rng))
    for z in np.arange(low + 1.0, high, rng.uniform(3.5, 6.0)):
        if chance(rng, 0.7):
            lumps = 7 if z < _LOOKED_AT else 4
            one = tree(greenery(rng), rng, lumps) if chance(rng, 0.7) else bush(greenery(rng), rng)
            x = edge + side * rng.uniform(2.0, 5.5)
            things.append(one._replace(x=x, z=float(z), scale=rng.uniform(1.0, 1.9)))
    return sorted(things, key=lambda one: (abs(one.x) < abs(edge) + 6.5, -one.z, middle))


def _end(town: Town, rng: np.random.Generator) -> list[Thing]:
    """Close the street: houses and trees across its far end, up to where the sky begins."""
    things = []
    for x in np.arange(-170.0, 170.0, 18.0):
        if chance(rng, 0.55):
            house = _house(town, 0.0, 0.0, 10.0, rng)
            things.append(house._replace(x=float(x), z=FAR + 22.0))
        wood = greenery(rng)
        crown = Disc(0, 3.0, 0, rng.uniform(9.0, 13.0), rng.uniform(4.0, 7.0), wood, ragged=0.1)
        things.append(Thing(Label.VEGETATION, discs=(crown,), x=float(x) + 9.0, z=FAR + 8.0, upright=False))
    return sorted(things, key=lambda one: -one.z)
