"""Objects that no training image shows: animals, furniture and machines.

Each design is a function of a coat (patterned), a trim (plain) and chance; it stands at the origin, about a metre or
two high, and shows its broad side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from miniatures.street.solids import Box, Disc, Skin

Parts = tuple[tuple[Box, ...], tuple[Disc, ...]]
Design = Callable[[Skin, Skin, np.random.Generator], Parts]


def _legs(xs: tuple[float, ...], high: float, thick: float, skin: Skin) -> list[Disc]:
    """Return legs from the ground to `high`, alternately on the near and the far side."""
    return [
        Disc(x, high / 2, 0.12 * (-1) ** i, thick, high / 2 + 0.03, skin, power=4, layer=-1) for i, x in enumerate(xs)
    ]


def _horse(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    body, high = rng.uniform(0.65, 0.85), rng.uniform(0.75, 1.0)
    legs = _legs((-0.62 * body, -0.4 * body, 0.45 * body, 0.66 * body), high, 0.07, trim)
    neck = Disc(0.95 * body, high + 0.6, 0, 0.15, 0.45, coat, roll=-0.55)
    head = Disc(1.25 * body, high + 0.92, 0, 0.26, 0.12, coat, roll=-0.5, layer=1)
    tail = Disc(-1.05 * body, high - 0.05, 0, 0.06, 0.4, trim, roll=-0.3)
    ear = Disc(1.1 * body, high + 1.12, 0, 0.05, 0.12, trim, layer=2)
    return (), (*legs, tail, Disc(0, high + 0.15, 0, body, 0.34, coat, power=2.6), neck, head, ear)


def _giraffe(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    tall = rng.uniform(0.9, 1.3)
    legs = _legs((-0.4, -0.25, 0.3, 0.45), 1.0, 0.055, trim)
    neck = Disc(0.75, 1.3 + tall / 2, 0, 0.1, tall / 2 + 0.2, coat, roll=-0.35, power=3)
    head = Disc(1.1, 1.5 + tall, 0, 0.22, 0.09, coat, roll=-0.25, layer=1)
    horn = Disc(0.98, 1.66 + tall, 0, 0.035, 0.12, trim, layer=1)
    return (), (*legs, Disc(0, 1.2, 0, 0.6, 0.34, coat, roll=0.25, power=2.5), neck, head, horn)


def _elephant(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    bulk = rng.uniform(0.85, 1.05)
    legs = _legs((-0.6, -0.28, 0.3, 0.62), 0.7, 0.16, coat)
    head = Disc(1.05, 1.25, 0, 0.4, 0.42, coat, layer=1)
    ear = Disc(0.85, 1.2, -0.2, 0.25, 0.38, trim, layer=2)
    trunk = Disc(1.45, 0.78, 0, 0.09, 0.6, coat, roll=0.12, power=3, layer=1)
    tusk = Disc(1.5, 1.0, -0.1, 0.25, 0.05, trim, roll=0.35, layer=2)
    return (), (*legs, Disc(0, 1.1, 0, bulk, 0.6, coat, power=2.4), head, ear, trunk, tusk)


def _flamingo(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    high = rng.uniform(0.8, 1.1)
    legs = _legs((-0.04, 0.1), high, 0.035, trim)
    wing = Disc(-0.2, high + 0.28, -0.1, 0.42, 0.17, trim, roll=-0.3, layer=1)
    neck = Disc(0.42, high + 0.62, 0, 0.06, 0.42, coat, roll=-0.2)
    curve = Disc(0.62, high + 1.02, 0, 0.17, 0.08, coat, roll=-0.3, layer=1)
    return (), (*legs, Disc(0, high + 0.25, 0, 0.48, 0.3, coat, roll=0.2), wing, neck, curve)


def _tortoise(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    dome = rng.uniform(0.5, 0.75)
    legs = _legs((-0.6, -0.4, 0.45, 0.62), 0.34, 0.13, trim)
    head = Disc(1.08, 0.52, 0, 0.24, 0.16, trim, roll=0.3)
    return (), (*legs, head, Disc(0, 0.5, 0, 0.9, dome, coat), Disc(0, 0.34, -0.05, 0.95, 0.12, trim, layer=1))


def _spider(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    high, legs = rng.uniform(0.55, 0.8), []
    for side in (-1, 1):
        for step in range(4):
            x = side * (0.45 + 0.22 * step)
            legs.append(Disc(x, high * 0.55, 0.1 * step, 0.045, high * 0.62, trim, side * (0.25 + 0.14 * step), 3))
            legs.append(Disc(x * 0.72, high * 1.1, 0.1 * step, 0.3, 0.045, trim, -side * 0.45, 3))
    return (), (*legs, Disc(0, high, 0, 0.48, 0.36, coat, layer=1), Disc(0, high - 0.2, -0.3, 0.24, 0.2, coat, layer=2))


def _whale(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    long = rng.uniform(0.9, 1.15)
    tail = Disc(-1.15 * long, 0.75, 0, 0.42, 0.13, coat, roll=-0.5)
    fluke = Disc(-1.5 * long, 1.05, 0, 0.14, 0.34, trim, roll=0.5)
    fin = Disc(0.25, 0.3, -0.3, 0.36, 0.11, trim, roll=-0.6, layer=2)
    belly = Disc(0.15, 0.28, -0.1, 0.8 * long, 0.2, trim, layer=1)
    return (), (tail, fluke, Disc(0, 0.52, 0, long, 0.5, coat, power=2.3), belly, fin)


def _snail(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    shell = rng.uniform(0.5, 0.65)
    foot = Disc(0.1, 0.14, 0, 1.0, 0.15, trim, power=3)
    neck = Disc(0.95, 0.45, 0, 0.12, 0.35, trim, roll=-0.3)
    eyes = [Disc(1.02 + dx, 0.95, 0, 0.03, 0.22, trim, roll=-2 * dx) for dx in (-0.08, 0.1)]
    return (), (foot, neck, *eyes, Disc(-0.15, 0.2 + shell, 0, shell, shell, coat, layer=1))


def _table(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    width, depth, high = rng.uniform(1.3, 1.8), rng.uniform(0.7, 0.9), rng.uniform(0.7, 0.85)
    legs = [
        Box(x * (width / 2 - 0.08), 0, z * (depth / 2 - 0.08), 0.09, high, 0.09, trim) for x in (-1, 1) for z in (-1, 1)
    ]
    cloth = Box(0, high - 0.22, 0, width + 0.02, 0.22, depth + 0.02, coat, layer=1)
    vase = Disc(rng.uniform(-0.3, 0.3), high + 0.25, 0, 0.13, 0.24, trim, layer=2)
    return (*legs, cloth), (vase,)


def _armchair(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    width, back = rng.uniform(0.9, 1.9), rng.uniform(0.95, 1.2)
    arms = [Box(x * (width / 2 + 0.1), 0.08, -0.05, 0.22, 0.58, 0.85, coat, layer=2) for x in (-1, 1)]
    rear = Box(0, 0.08, 0.38, width + 0.3, back, 0.2, coat, layer=0)
    seat = Box(0, 0.08, -0.05, width, 0.36, 0.8, trim, layer=1)
    rolls = [Disc(x * (width / 2 + 0.1), 0.66, -0.49, 0.15, 0.12, trim, layer=3) for x in (-1, 1)]
    return (rear, seat, *arms), tuple(rolls)


def _clock(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    tall = rng.uniform(1.5, 1.9)
    foot, case = Box(0, 0, 0, 0.72, 0.35, 0.45, coat), Box(0, 0.35, 0, 0.46, tall - 0.9, 0.36, coat, layer=1)
    hood = Box(0, tall - 0.55, 0, 0.7, 0.6, 0.44, coat, layer=2)
    gable = Box(0, tall + 0.05, 0, 0.78, 0.28, 0.46, trim, narrow=0.1, layer=3)
    dial = Disc(0, tall - 0.25, -0.23, 0.25, 0.25, trim, bulge=0, layer=4)
    return (foot, case, hood, gable), (dial,)


def _piano(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    width = rng.uniform(1.3, 1.6)
    legs = [Box(x * width * 0.42, 0, z, 0.12, 0.62, 0.12, trim) for x in (-1, 1) for z in (-0.35, 0.45)]
    case = Box(0, 0.6, 0.05, width, 0.26, 1.2, coat, layer=1)
    keys = Box(0, 0.62, -0.62, width * 0.92, 0.1, 0.16, trim, layer=2)
    lid = Box(-width * 0.1, 0.86, 0.3, width * 0.85, 0.75, 0.06, coat, narrow=0.6, shift=0.25, layer=3)
    return (*legs, case, keys, lid), ()


def _standard_lamp(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    tall = rng.uniform(1.2, 1.6)
    stem = (Box(0, 0, 0, 0.55, 0.1, 0.55, trim), Box(0, 0.1, 0, 0.09, tall, 0.09, trim, layer=1))
    shade = Box(0, tall * 0.72, 0, 0.95, 0.55, 0.95, coat, narrow=0.5, shorten=0.5, layer=2)
    return (*stem, shade), (Disc(0, tall * 0.7, -0.3, 0.3, 0.08, trim, layer=1),)


def _bed(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    long, back = rng.uniform(1.7, 2.1), rng.uniform(0.8, 1.1)
    boards = [
        Box(x * long / 2, 0, 0, 0.08, high, 1.1, trim, layer=layer) for x, high, layer in ((-1, back, 0), (1, 0.6, 2))
    ]
    mattress = Box(0, 0.25, 0, long - 0.1, 0.32, 1.05, coat, layer=1)
    pillow = Disc(-long * 0.38, 0.66, 0, 0.24, 0.13, trim, power=3, layer=2)
    return (*boards, mattress), (pillow,)


def _helicopter(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    long = rng.uniform(1.5, 1.9)
    skids = (Box(0.2, 0, -0.3, 1.3, 0.06, 0.08, trim), Box(0.2, 0, 0.3, 1.3, 0.06, 0.08, trim))
    struts = tuple(Box(x, 0.06, -0.25, 0.06, 0.35, 0.06, trim) for x in (-0.15, 0.55))
    boom = Box(-long * 0.62, 0.8, 0, long, 0.16, 0.14, coat, layer=1)
    rotor = Box(0.2, 1.42, 0, 3.0, 0.06, 0.2, trim, layer=3)
    mast = Box(0.2, 1.2, 0, 0.1, 0.25, 0.1, trim, layer=2)
    tail = Disc(-long * 1.12, 0.98, 0, 0.1, 0.4, trim, roll=0.2, layer=1)
    return (*skids, *struts, boom, mast, rotor), (Disc(0.2, 0.82, 0, 0.72, 0.46, coat, power=2.4, layer=2), tail)


def _cannon(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    wheel = rng.uniform(0.42, 0.55)
    barrel = Disc(0.45, wheel + 0.3, 0, 1.05, 0.16, coat, roll=rng.uniform(0.15, 0.45), power=4)
    trail = Disc(-0.75, wheel * 0.55, 0, 0.7, 0.09, trim, roll=0.4, power=4)
    spokes = [Disc(0, wheel, -0.22, wheel * 0.9, 0.05, coat, roll=turn, layer=2) for turn in (0.0, 1.05, 2.09)]
    return (), (trail, barrel, Disc(0, wheel, -0.2, wheel, wheel, trim, bulge=0.3, layer=1), *spokes)


def _rocket(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    tall = rng.uniform(1.5, 1.9)
    hull = Disc(0, 0.25 + tall / 2, 0, 0.34, tall / 2, coat, power=2.6)
    nose = Disc(0, 0.2 + tall, 0, 0.2, 0.3, trim, layer=1)
    fins = [Disc(x * 0.42, 0.35, 0, 0.13, 0.42, trim, roll=x * 0.45, layer=1) for x in (-1, 1)]
    port = Disc(0, 0.3 + tall * 0.62, -0.3, 0.13, 0.13, trim, layer=2)
    return (), (hull, nose, *fins, Disc(0, 0.18, 0, 0.16, 0.2, trim), port)


def _digger(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    tracks = Disc(-0.3, 0.24, -0.2, 0.85, 0.25, trim, power=4)
    body = Box(-0.35, 0.46, 0, 1.1, 0.42, 0.8, coat, layer=1)
    cab = Box(-0.1, 0.88, 0, 0.5, 0.55, 0.6, coat, narrow=0.85, layer=2)
    lift = rng.uniform(0.6, 0.95)
    boom = Disc(0.65, 1.25, 0, 0.75, 0.11, coat, roll=lift, power=4, layer=3)
    arm = Disc(1.3, 1.2, 0, 0.09, 0.62, trim, roll=0.2, power=4, layer=3)
    bucket = Disc(1.38, 0.55, 0, 0.3, 0.24, coat, roll=0.4, power=3, layer=4)
    return (body, cab), (tracks, boom, arm, bucket)


def _radar(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    turn = rng.uniform(-0.5, 0.5)
    foot = Box(0, 0, 0, 1.0, 0.75, 1.0, trim, narrow=0.3, shorten=0.3)
    dish = Disc(0, 1.3, -0.1, 0.82, 0.62, coat, roll=turn, bulge=0.8, layer=1)
    feed = Disc(0, 1.3, -0.3, 0.05, 0.5, trim, roll=turn, layer=2)
    return (foot,), (dish, feed, Disc(0.25 * turn, 1.32, -0.5, 0.12, 0.12, trim, layer=3))


def _tank(coat: Skin, trim: Skin, rng: np.random.Generator) -> Parts:
    tracks = Disc(0, 0.26, -0.3, 1.15, 0.27, trim, power=4, layer=1)
    wheels = [Disc(x, 0.24, -0.35, 0.17, 0.17, coat, layer=2) for x in (-0.75, -0.38, 0.0, 0.38, 0.75)]
    hull = Box(0, 0.4, 0, 2.1, 0.3, 0.9, coat, narrow=0.8, layer=2)
    gun = Disc(1.05, 0.94, 0, 0.8, 0.06, trim, roll=rng.uniform(0.0, 0.25), power=4, layer=3)
    return (hull,), (tracks, *wheels, gun, Disc(-0.05, 0.9, 0, 0.52, 0.26, coat, power=3, layer=4))


DESIGNS: dict[str, Design] = {
    "horse": _horse,
    "table": _table,
    "helicopter": _helicopter,
    "giraffe": _giraffe,
    "armchair": _armchair,
    "cannon": _cannon,
    "elephant": _elephant,
    "clock": _clock,
    "rocket": _rocket,
    "flamingo": _flamingo,
    "piano": _piano,
    "digger": _digger,
    "tortoise": _tortoise,
    "standard_lamp": _standard_lamp,
    "radar": _radar,
    "spider": _spider,
    "bed": _bed,
    "tank": _tank,
    "whale": _whale,
    "snail": _snail,
}
"""All designs, kinds mixed, so that every n-th of them is a mixture too."""
