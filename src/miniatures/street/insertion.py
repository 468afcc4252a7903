"""Put another object in the place of a known one, and make it as large and as bright: anomalies and the control."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from miniatures.fields import blurred, halved
from miniatures.street.facets import Facets, facets
from miniatures.street.labels import Label
from miniatures.street.light import Light, Shade, lit
from miniatures.street.placing import Slot, frame, known_thing
from miniatures.street.raster import painted, surfaces
from miniatures.street.solids import Box, Disc, Rgb, Skin, Thing, chance
from miniatures.street.textures import UNSEEN_TEXTURES
from miniatures.street.town import Shot
from miniatures.street.unseen import DESIGNS
from miniatures.street.view import View

_LUMA = np.array([0.2126, 0.7152, 0.0722])
_CANVAS = 72
"""Rows on which objects are measured, at most."""
_MOSTLY = 0.5
_LIVELIER = 1.25
_ALIKE = 0.6
"""Two colours need a lower ratio of luminances than this to make a pattern."""


def _luminance(colour: Rgb) -> float:
    return float(np.array(colour) @ _LUMA)


class Look(NamedTuple):
    """How an object looks on its own, in the light and the distance of the scene.

    Attributes:
        area: Of its silhouette, as a share of the canvas.
        mean: Mean brightness over the silhouette; brightness is luminance to the power of 1 / 2.2, as in an image file.
        spread: Standard deviation of the brightness.
        flow: Luminance that reaches the camera per unit of its surfaces' reflectance.
    """

    area: float
    mean: float
    spread: float
    flow: float


def look(thing: Thing, view: View, light: Light) -> Look:
    """Measure an object on its own.

    Args:
        thing: The object.
        view: A window around it.
        light: Of the scene.

    Returns:
        Its size and its luminance, textures, relief and highlights included.
    """
    seen = surfaces(_cut(thing, view), view)
    nothing = np.zeros((view.rows, view.columns), np.float32)
    image = lit(seen, Shade(nothing, nothing, np.zeros(1)), light, view, np.stack([nothing] * 3))
    inside = seen.thing >= 0
    luminance, reflectance = (np.tensordot(_LUMA, values, 1) * inside for values in (image, seen.reflectance))
    # Detail that the lens cannot resolve is no contrast.
    share = blurred(halved(inside.astype(np.float32)), 0.5)
    kept = share > _MOSTLY
    if not kept.any():
        return Look(0.0, 0.0, 0.0, 1.0)
    bright = (blurred(halved(luminance), 0.5)[kept] / share[kept]) ** (1 / 2.2)
    flow = float(luminance.sum() / max(reflectance.sum(), 1e-6))
    return Look(float(inside.mean()), float(bright.mean()), float(bright.std()), flow)


def main_colours(thing: Thing, view: View) -> tuple[Rgb, Rgb, float]:
    """Return the two colours of an object with the largest area, and its mean gloss."""
    cut = _cut(thing, view)
    pixels = np.bincount(painted(cut.outlines, view).ravel(), minlength=len(cut.outlines) + 1)[1:]
    area: dict[Rgb, float] = {}
    for (red, green, blue), count in zip(cut.skin[:, :3].tolist(), pixels.tolist(), strict=True):
        area[red, green, blue] = area.get((red, green, blue), 0.0) + count
    first, second = (sorted(area, key=lambda colour: -area[colour]) * 2)[:2]
    return first, second, float(cut.skin[:, 10] @ pixels / max(pixels.sum(), 1))


def insert_unseen(slot: Slot, shot: Shot, pool: tuple[int, int], rng: np.random.Generator) -> Thing:
    """Put an unseen object into a slot.

    Args:
        slot: Whose object it replaces.
        shot: Camera and light.
        pool: Number of the test town, and of how many: it takes every n-th design and texture.
        rng: Source of chance.

    Returns:
        An object of label `ANOMALY`, in the colours of the one that it replaces.
    """
    names, textures = list(DESIGNS)[pool[0] :: pool[1]], UNSEEN_TEXTURES[pool[0] :: pool[1]]
    first, second, gloss = main_colours(known_thing(slot), _window(slot, shot.view))
    if min(_luminance(first), _luminance(second)) > _ALIKE * max(_luminance(first), _luminance(second)):
        second = (0.3 * first[0], 0.3 * first[1], 0.3 * first[2])
    texture = textures[rng.integers(len(textures))]
    coat = Skin(first, second, texture, rng.uniform(1.4, 2.8), rng.random(), 0.06, gloss)
    trim = Skin(first if chance(rng, 0.7) else second, grain=0.06, gloss=gloss)
    parts = DESIGNS[names[rng.integers(len(names))]](coat, trim, rng)
    yaw = rng.uniform(-0.5, 0.5) + np.pi * rng.integers(2)
    return _matched(Thing(Label.ANOMALY, *parts, yaw=float(yaw)), slot, shot)


def insert_known(slot: Slot, shot: Shot, rng: np.random.Generator) -> Thing:
    """Put another individual of the same class into a slot: the control of `insert_unseen`.

    Args:
        slot: Whose object it replaces.
        shot: Camera and light.
        rng: Source of chance.

    Returns:
        An object of the slot's label, in the colour of the one that it replaces.
    """
    return _matched(known_thing(slot, rng), slot, shot)


def _cut(thing: Thing, view: View) -> Facets:
    return facets([thing], view, np.random.default_rng(0))


def _window(slot: Slot, view: View) -> View:
    """Return a window with room around a slot."""
    left, top, right, bottom = frame(slot, view)
    side = 2.2 * max(right - left, bottom - top)
    return view.window((left + right - side) / 2, bottom - 0.8 * side, side, _CANVAS)


def _matched(thing: Thing, slot: Slot, shot: Shot) -> Thing:
    """Stand an object where the slot's own would be, as large, as bright and as rich in contrast as that one."""
    window = _window(slot, shot.view)
    original = look(known_thing(slot), window, shot.light)
    thing = thing._replace(x=slot.x, z=slot.z, y=slot.y)
    for _ in range(2):
        area = float((painted(_cut(thing, window).outlines, window) > 0).mean())
        thing = thing._replace(scale=thing.scale * float(np.sqrt(original.area / max(area, 1e-4))))
    for _ in range(3):
        thing = _brightened(thing, look(thing, window, shot.light), original)
    return thing


def _brightened(thing: Thing, now: Look, original: Look) -> Thing:
    """Shift and stretch the brightness of all surfaces."""
    # More than in proportion, because relief and highlights have a share in the contrast that colours do not change.
    stretch = float(np.clip(original.spread / max(now.spread, 1e-6), 0.3, 3.0)) ** 1.4

    def matched(colour: Rgb) -> Rgb:
        luminance = max(_luminance(colour), 1e-3)
        bright = original.mean + ((luminance * now.flow) ** (1 / 2.2) - now.mean) * stretch
        wanted = float(np.clip(max(bright, 0.0) ** 2.2 / now.flow, 0.008, 0.85))
        # Hue and saturation stay, but a dark colour that becomes much brighter must not become lurid: the rest is grey.
        scaled = np.array(colour) * min(wanted / luminance, _LIVELIER)
        red, green, blue = np.clip(scaled + max(wanted - _LIVELIER * luminance, 0.0), 0.0, 0.95)
        return float(red), float(green), float(blue)

    def dyed(skin: Skin) -> Skin:
        return skin._replace(base=matched(skin.base), accent=None if skin.accent is None else matched(skin.accent))

    return _reskinned(thing, dyed)


def _reskinned(thing: Thing, change: Callable[[Skin], Skin]) -> Thing:
    boxes: tuple[Box, ...] = tuple(box._replace(skin=change(box.skin)) for box in thing.boxes)
    discs: tuple[Disc, ...] = tuple(disc._replace(skin=change(disc.skin)) for disc in thing.discs)
    return thing._replace(boxes=boxes, discs=discs)
