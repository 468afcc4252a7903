"""One street with everything in it, before any light falls on it."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from miniatures.street.corridor import corridor
from miniatures.street.fittings import bush, greenery, lamp, sign, small_thing, tree
from miniatures.street.insertion import insert_known, insert_unseen
from miniatures.street.labels import Label
from miniatures.street.layout import SPLITS, StreetFolder
from miniatures.street.placing import Slot, draw_slots, hides, known_thing
from miniatures.street.solids import Thing, chance, paint
from miniatures.street.spec import StreetSpec
from miniatures.street.town import Shot, Town, draw_shot, draw_town


class Stream(IntEnum):
    """Purposes of chance; each has a stream of its own, so that one cannot disturb another."""

    TOWN = 0
    SHOT = 1
    STREET = 2
    FITTINGS = 3
    SLOTS = 4
    CHOICE = 5
    INSERTION = 6
    SKY = 7
    OUTLINES = 8
    NOISE = 9


class Scene(NamedTuple):
    """Everything that one image shows.

    Attributes:
        things: In painting order, from the furthest to the nearest.
        backdrop: How many of the first things are ground and what borders the street.
        inserted: Position of the inserted thing; None outside the test towns.
        slots: Where cars and pedestrians were planned; in the order of `slot_things`.
        slot_things: Positions of the things that fill the slots.
        shot: Camera, light and weather.
    """

    things: list[Thing]
    backdrop: int
    inserted: int | None
    slots: list[Slot]
    slot_things: list[int]
    shot: Shot


def stream(spec: StreetSpec, folder: StreetFolder, index: int, purpose: Stream) -> np.random.Generator:
    """Return the source of chance for one purpose of one image; the control shares all but the inserted object."""
    control = int(folder.is_control and purpose == Stream.INSERTION)
    place = (SPLITS.index(folder.split), folder.town_number)
    return np.random.default_rng([spec.seed, purpose, *place, index, control])


def town_of(spec: StreetSpec, folder: StreetFolder) -> Town:
    """Return the style of a folder's town."""
    return draw_town(np.random.default_rng([spec.seed, Stream.TOWN, SPLITS.index(folder.split), folder.town_number]))


def draw_scene(spec: StreetSpec, folder: StreetFolder, index: int) -> Scene:
    """Compose one image.

    Args:
        spec: What to render.
        folder: Whose image.
        index: Which one, from 0.

    Returns:
        The scene, into which the inserted object is already built.
    """
    town = town_of(spec, folder)
    shot = draw_shot(town, spec.height_px, spec.width_px, stream(spec, folder, index, Stream.SHOT))
    backdrop = corridor(town, stream(spec, folder, index, Stream.STREET))
    slots = draw_slots(town, shot.view, stream(spec, folder, index, Stream.SLOTS))
    chosen = None
    if folder.split == "test":
        chosen = int(stream(spec, folder, index, Stream.CHOICE).integers(len(slots)))
    objects = [known_thing(slot) for slot in slots]
    if chosen is not None:
        objects[chosen] = _insertion(spec, folder, slots[chosen], shot, stream(spec, folder, index, Stream.INSERTION))
    fittings = [
        thing
        for thing in _fittings(town, stream(spec, folder, index, Stream.FITTINGS))
        if thing.label in (Label.POLE, Label.TRAFFIC_SIGN) or not hides(thing, slots, shot.view)
    ]
    order = sorted(range(len(objects) + len(fittings)), key=lambda i: -(objects + fittings)[i].z)
    position = {number: len(backdrop) + place for place, number in enumerate(order)}
    return Scene(
        backdrop + [(objects + fittings)[number] for number in order],
        len(backdrop),
        None if chosen is None else position[chosen],
        slots,
        [position[number] for number in range(len(slots))],
        shot,
    )


def _insertion(spec: StreetSpec, folder: StreetFolder, slot: Slot, shot: Shot, rng: np.random.Generator) -> Thing:
    if folder.is_control:
        return insert_known(slot, shot, rng)
    return insert_unseen(slot, shot, (folder.town_number, spec.test_towns), rng)


def _fittings(town: Town, rng: np.random.Generator) -> list[Thing]:
    """Line both pavements with trees, lamps, signs and small things."""
    metal = paint(0.55, 0.1, rng.uniform(0.15, 0.5))
    leaves = greenery(rng)
    things: list[Thing] = []
    for side in (-1, 1):
        kerb = side * (town.half_road + 0.35)
        wall = side * (town.half_street - 0.45)
        for z in np.arange(rng.uniform(4.0, 16.0), 70.0, town.tree_gap):
            things.append(
                tree(leaves, rng)._replace(x=kerb + side * 0.3, z=float(z), y=0.12, scale=rng.uniform(0.9, 1.4))
            )
        for z in np.arange(rng.uniform(6.0, 20.0), 80.0, 22.0):
            things.append(lamp(metal, side, rng)._replace(x=kerb, z=float(z), y=0.12))
        for z in np.arange(rng.uniform(6.0, 18.0), 50.0, rng.uniform(12.0, 24.0)):
            things.extend(part._replace(x=kerb, z=float(z), y=0.12) for part in sign(rng))
        for z in np.arange(rng.uniform(5.0, 14.0), 45.0, rng.uniform(7.0, 15.0)):
            plant = chance(rng, 0.3)
            one = bush(leaves, rng) if plant else small_thing(rng)
            things.append(one._replace(x=wall if chance(rng, 0.6) else kerb + side * 0.1, z=float(z), y=0.12))
    return things
