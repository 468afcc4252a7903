"""Appendages as signed distance functions, in the same object coordinates as the bodies.

They start inside the body, which hides their roots, and reach `length` beyond the body's half width and half height.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from miniatures.fields import Field, norm
from miniatures.shapes import capsule, union

Limbs = Callable[[Field, Field, int, float, tuple[float, float]], Field]


def _legs(x: Field, y: Field, count: int, length: float, half: tuple[float, float]) -> Field:
    side = np.abs(x)
    places = np.linspace(0.5, -0.5, count) * half[1] if count > 1 else np.zeros(1)
    knees = [(half[0] + 0.45 * length, 1.25 * float(place) + 0.1) for place in places]
    pairs = [
        np.minimum(
            capsule(side, y, (0.1, float(place)), knee, (0.075, 0.06)),
            capsule(side, y, knee, (knee[0] + 0.55 * length, knee[1] - 0.2 * length - 0.06), (0.06, 0.035)),
        )
        for place, knee in zip(places, knees, strict=True)
    ]
    return union(pairs)


def _spikes(x: Field, y: Field, count: int, length: float, half: tuple[float, float]) -> Field:
    turn = 2.0 * float(np.pi) / (2 * count + 3)
    reach = norm(x, y)
    angle = np.arctan2(x, y)
    angle = angle - turn * np.round(angle / turn)
    tip = 0.5 * (half[0] + half[1]) + 0.9 * length
    return capsule(reach * np.sin(angle), reach * np.cos(angle), (0.0, 0.15), (0.0, tip), (0.15, 0.015))


def _fins(x: Field, y: Field, count: int, length: float, half: tuple[float, float]) -> Field:
    side = np.abs(x)
    places = np.linspace(0.35, -0.45, count) * half[1] if count > 1 else np.zeros(1)
    size = 0.9 * length / count**0.5
    tip = half[0] + 0.55 * size
    lobes = [
        capsule(side, y, (half[0] * 0.5, float(place)), (tip, float(place) - 0.25 * size), (0.05, 0.4 * size))
        for place in places
    ]
    return union(lobes)


def _horns(x: Field, y: Field, _count: int, length: float, half: tuple[float, float]) -> Field:
    side = np.abs(x)
    bend = (0.28, half[1] + 0.35 * length)
    tip = (0.3 + 0.5 * length, half[1] + 0.85 * length)
    stalk = capsule(side, y, (0.1, 0.2), bend, (0.07, 0.05))
    end = capsule(side, y, bend, tip, (0.05, 0.04))
    knob = norm(side - tip[0], y - tip[1]) - 0.1
    return union((stalk, end, knob))


def _tail(x: Field, y: Field, _count: int, length: float, half: tuple[float, float]) -> Field:
    steps = np.linspace(0.0, 1.0, 5)
    xs = 0.75 * length * np.sin(3.6 * steps)
    ys = -half[1] * (0.3 + 0.4 * np.minimum(4.0 * steps, 1.0)) - (0.3 + length) * np.sin(1.9 * steps)
    points = [(float(px), float(py)) for px, py in zip(xs, ys, strict=True)]
    widths = [0.14 - 0.08 * float(step) for step in steps]
    joints = [capsule(x, y, *ends, radii) for ends, radii in zip(pairwise(points), pairwise(widths), strict=True)]
    return union(joints)


LIMBS: dict[str, Limbs | None] = {
    "none": None,
    "legs": _legs,
    "spikes": _spikes,
    "fins": _fins,
    "horns": _horns,
    "tail": _tail,
}
