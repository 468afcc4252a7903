"""One individual as fields over the image: outline, relief and skin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from miniatures.colour import hsv, mix
from miniatures.fields import Field, blurred, norm, pixel_grid, ramp, rotated
from miniatures.limbs import LIMBS
from miniatures.patterns import PATTERNS
from miniatures.scene import Scene
from miniatures.shapes import BODIES
from miniatures.traits import Traits


class Organism(NamedTuple):
    """An object ready to be lit.

    Attributes:
        cover: Share of each pixel that it covers, `(size, size)`.
        distance: Signed distance to its outline in half image widths, `(size, size)`.
        height: Relief above the image plane in half image widths, `(size, size)`.
        skin: Colour in linear light, `(3, size, size)`.
    """

    cover: Field
    distance: Field
    height: Field
    skin: Field


def pose(scene: Scene, size: int) -> tuple[Field, Field]:
    """Return the pixels' object coordinates, `(size, size)` each: position, tilt, turn, shear and scale undone."""
    x, y = pixel_grid(size)
    x, y = x - scene.centre_x, y - scene.centre_y
    depth = 1.0 + scene.tilt_x * x + scene.tilt_y * y
    u, v = rotated(x / depth, y / depth, scene.rotation)
    return (u + scene.shear * v) * (1.0 / scene.scale), v * (1.0 / scene.scale)


def build(look: tuple[str, str, str], traits: Traits, phase: float, scene: Scene, size: int) -> Organism:
    """Shape and colour one individual.

    Args:
        look: Body, pattern and limbs: keys of `BODIES`, `PATTERNS`, `LIMBS`.
        traits: Of the individual.
        phase: Where its pattern starts, in [0, 1).
        scene: Gives the pose.
        size: Height and width of the fields.

    Returns:
        The object's fields.
    """
    x, y = pose(scene, size)
    stretch = 0.74 + 0.6 * traits.elongation
    x, y = x * stretch, y * (1.0 / stretch)
    body = BODIES[look[0]]
    trunk = body.distance(x, y, traits.form)
    trunk_cover, trunk_height = _cover(trunk), _relief(trunk)
    # The skin curves away from the viewer: towards the outline the same distance holds more of the pattern.
    bulge = 1.3 - 0.8 * trunk_height
    skin = _skin(x * bulge, y * bulge, look[1], traits, phase)
    grow = LIMBS[look[2]]
    if grow is None:
        return Organism(trunk_cover, trunk * scene.scale, trunk_height * scene.scale, skin)
    limbs = grow(x, y, 1 + round(3.0 * traits.limb_count), 0.12 + 0.38 * traits.limb_length, body.half)
    limbs = np.maximum(limbs, body.hollow - norm(x, y))
    limb_cover = _cover(limbs)
    limb_colour = hsv(traits.hue, 0.45 + 0.5 * traits.saturation, 0.2 + 0.5 * traits.value)
    return Organism(
        np.maximum(trunk_cover, limb_cover),
        np.minimum(trunk, limbs) * scene.scale,
        (_relief(limbs) * (1.0 - trunk_cover) + trunk_height * trunk_cover) * scene.scale,
        mix(limb_colour, skin, trunk_cover),
    )


def _cover(distance: Field) -> Field:
    """Antialias an outline: the distance is measured in pixels by its own slope, so any distortion is allowed."""
    down, right = np.diff(distance, axis=0, append=distance[-1:]), np.diff(distance, axis=1, append=distance[:, -1:])
    return np.clip(0.5 - distance / np.maximum(norm(down, right), 1e-4), 0.0, 1.0)


def _relief(distance: Field) -> Field:
    """Round a flat shape: an elliptic profile from the outline to the middle, with the ridges smoothed."""
    reach = max(-float(distance.min()), 0.02)
    t = np.clip(distance * (-1.0 / reach), 0.0, 1.0)
    return blurred(blurred(np.sqrt(t * (2.0 - t)) * (0.8 * reach), 1.0), 1.0)


def _skin(x: Field, y: Field, pattern: str, traits: Traits, phase: float) -> Field:
    u, v = rotated(x, y, (traits.orientation - 0.5) * 2.2)
    waves = 1.5 + 2.8 * traits.frequency
    wave = PATTERNS[pattern](u * waves, v * waves, phase)
    threshold = 0.55 - 0.9 * traits.duty
    worn = ramp(wave, threshold - 0.22, threshold + 0.22) * (0.45 + 0.55 * traits.contrast)
    ground = hsv(traits.hue, 0.35 + 0.63 * traits.saturation, 0.42 + 0.56 * traits.value)
    accent = hsv(
        traits.hue + (traits.accent_hue - 0.5) * 0.9,
        (0.4 + 0.5 * traits.saturation) * (1.0 - 0.75 * traits.accent_value),
        0.08 + 0.92 * traits.accent_value,
    )
    return mix(ground, accent, worn)
