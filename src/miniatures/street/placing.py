"""Where cars and pedestrians stand: all of them by one rule, from which the place of an anomaly is drawn as well."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from miniatures.street.labels import Label
from miniatures.street.people import clothes, pedestrian
from miniatures.street.solids import Rgb, Thing, chance
from miniatures.street.town import Town
from miniatures.street.vehicles import car, car_paint
from miniatures.street.view import NEAREST, View

Frame = tuple[float, float, float, float]
"""Left, top, right and bottom in subpixels."""

_TRIES = 60
_MAX_HIDDEN = 0.3
_MIN_INSIDE = 0.75
_MIN_AREA = 0.0045
_KERB = 0.14
"""Height of a pavement in metres."""
_SIZES = {int(Label.CAR): (1.9, 1.5, 4.2), int(Label.PEDESTRIAN): (0.55, 1.7, 0.4), 0: (1.1, 1.3, 0.5)}
"""Typical width, height and length in metres; 0 stands for small things of the pavement."""


class Slot(NamedTuple):
    """A place for one object.

    Attributes:
        label: `Label.CAR` or `Label.PEDESTRIAN`.
        x: Right of the middle of the road, in metres.
        z: Ahead, in metres.
        y: Height of the ground, in metres.
        yaw: Turn of the object.
        colour: Of its main surface.
        seed: Of its proportions.
    """

    label: int
    x: float
    z: float
    y: float
    yaw: float
    colour: Rgb
    seed: int


def draw_slots(town: Town, view: View, rng: np.random.Generator) -> list[Slot]:
    """Place the objects of one image so that each is mostly in the picture and mostly unhidden.

    Args:
        town: The style.
        view: The camera.
        rng: Source of chance.

    Returns:
        At least one slot; usually three to eight.
    """
    wanted = int(rng.integers(4, 10))
    slots: list[Slot] = []
    seen: list[Frame] = []
    for number in range(_TRIES * 5):
        if len(slots) >= (wanted if number < _TRIES else 1):
            break
        slot = _candidate(town, rng)
        box = frame(slot, view)
        inside = _overlap(box, (0.0, 0.0, float(view.columns), float(view.rows)))
        if inside < _MIN_INSIDE or _area(box) < _MIN_AREA * view.columns * view.rows:
            continue
        if all(max(_overlap(box, other), _overlap(other, box)) < _MAX_HIDDEN for other in seen):
            slots.append(slot)
            seen.append(box)
    return slots


def known_thing(slot: Slot, rng: np.random.Generator | None = None) -> Thing:
    """Build the car or pedestrian of a slot; with `rng`, another individual in the same place and colour."""
    make = car if slot.label == Label.CAR else pedestrian
    thing = make(slot.colour, rng or np.random.default_rng(slot.seed))
    return thing._replace(x=slot.x, z=slot.z, y=slot.y, yaw=slot.yaw)


def _candidate(town: Town, rng: np.random.Generator) -> Slot:
    """Draw a car in a lane or at the kerb, or a pedestrian on a pavement or on the road."""
    seed, side = int(rng.integers(2**31)), 1 if chance(rng, 0.5) else -1
    if chance(rng, 0.55):
        lane = (int(rng.integers(town.lanes)) + 0.5) * town.lane
        offset, reach = (lane, 30.0) if chance(rng, 0.55) else (town.half_road - town.parking / 2, 26.0)
        yaw = (0.0 if side > 0 else np.pi) + rng.normal(0, 0.04)
        x = side * (offset + rng.normal(0, 0.12))
        return Slot(Label.CAR, x, rng.uniform(7.0, reach), 0.0, yaw, car_paint(rng), seed)
    crossing = chance(rng, 0.3)
    offset = rng.uniform(0.0, town.half_road) if crossing else town.half_road + rng.uniform(0.4, town.walk - 0.3)
    height, z = (0.0 if crossing else _KERB), rng.uniform(5.0, 16.0)
    return Slot(Label.PEDESTRIAN, side * offset, z, height, rng.uniform(-0.9, 0.9), clothes(rng), seed)


def frame(slot: Slot, view: View) -> Frame:
    """Return left, top, right and bottom of a slot in subpixels."""
    width, height, length = _SIZES[slot.label]
    near, far = (view.focal / max(slot.z + end * length / 2, NEAREST) for end in (-1, 1))
    left, right = (slot.x - view.x + side * width / 2 for side in (-1, 1))
    low, high = slot.y - view.height, slot.y + height - view.height
    return (
        view.middle + min(left * near, left * far),
        view.horizon - max(high * near, high * far),
        view.middle + max(right * near, right * far),
        view.horizon - min(low * near, low * far),
    )


def hides(thing: Thing, slots: list[Slot], view: View) -> bool:
    """Return whether a small thing covers a good part of a slot behind it."""
    stand_in = Slot(0, thing.x, thing.z, thing.y, 0.0, (0.0, 0.0, 0.0), 0)
    box = frame(stand_in, view)
    return any(one.z > thing.z and _overlap(frame(one, view), box) > _MAX_HIDDEN for one in slots)


def _area(box: Frame) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _overlap(box: Frame, other: Frame) -> float:
    """Return the share of a frame that another one covers."""
    shared = (max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3]))
    return _area(shared) / max(_area(box), 1e-9)
