"""Things between the camera and the object: blades, twigs and leaves, a little out of focus."""

from __future__ import annotations

import numpy as np

from miniatures.backgrounds import Palette
from miniatures.colour import mix
from miniatures.fields import Field, pixel_grid, ramp, rotated
from miniatures.shapes import capsule

_BLADE, _TWIG, _LEAF = range(3)


def occlude(image: Field, count: int, colours: Palette, rng: np.random.Generator) -> Field:
    """Return the image behind some occluders.

    Args:
        image: `(3, size, size)` in linear light.
        count: Number of occluders.
        colours: The background's palette, which they share.
        rng: Source of chance.

    Returns:
        `(3, size, size)`. Each occluder keeps away from the middle, so that most of an object stays visible.
    """
    x, y = pixel_grid(image.shape[-1])
    for _ in range(count):
        angle = rng.uniform(0.0, 6.28)
        u, v = rotated(x, y, angle)
        # u runs towards the centre of the image, v across; the thing enters at the edge and ends beside the object.
        across, tip = rng.uniform(0.2, 0.65) * float(rng.integers(2) * 2 - 1), rng.uniform(-0.75, -0.25)
        slant = rng.uniform(-0.5, 0.5)
        v = v - across - slant * (u + 1.0)
        blur = rng.uniform(0.03, 0.09)
        distance, tone = _thing(int(rng.integers(3)), u, v, tip)
        shade = mix(colours.dark, colours.light, np.clip(tone * rng.uniform(0.3, 0.9), 0.0, 1.0))
        image = mix(image, shade, ramp(distance, blur, -blur) * 0.95)
    return image


def _thing(kind: int, u: Field, v: Field, tip: float) -> tuple[Field, Field]:
    """Return the signed distance and the tone in [0, 1] of one occluder that ends at `u = tip`."""
    if kind == _BLADE:
        return capsule(u, v - 0.12 * (u + 1.0) ** 2, (-1.6, 0.0), (tip + 0.15, 0.0), (0.12, 0.01)), ramp(v, -0.1, 0.1)
    if kind == _TWIG:
        wave = 0.04 * np.sin(9.0 * u)
        return capsule(u, v + wave, (-1.6, 0.0), (tip + 0.3, 0.0), (0.045, 0.025)), ramp(v, -0.05, 0.1) * 0.5
    centre = u - (tip - 0.3)
    return (np.abs(v) + centre * centre * 0.55 - 0.2) * 0.8, 0.4 + 0.5 * ramp(np.abs(v), 0.0, 0.05)
