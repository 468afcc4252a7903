"""What lies behind the object: textures in linear light, all from one base colour and one source of chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from miniatures.colour import Colour, colour, hsv, mix
from miniatures.fields import Field, fractal_noise, norm, pixel_grid, ramp, rotated, smooth_noise


class Palette(NamedTuple):
    """Three related colours of a background, each `(3, 1, 1)`."""

    base: Colour
    dark: Colour
    light: Colour


Background = Callable[[np.random.Generator, int, Palette], Field]


def palette(hue: float, saturation: float, value: float, rng: np.random.Generator) -> Palette:
    """Return a base colour with a darker and a lighter neighbour."""
    near, far = hue + rng.normal(0.0, 0.05), hue + rng.normal(0.0, 0.09)
    return Palette(
        hsv(hue, saturation, value),
        hsv(near, saturation * 1.1, value * rng.uniform(0.35, 0.65)),
        hsv(far, saturation * rng.uniform(0.4, 0.9), value * rng.uniform(1.1, 1.4)),
    )


def _soil(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    coarse = mix(colours.dark, colours.base, ramp(fractal_noise(rng, size, int(rng.integers(2, 6))), -0.9, 0.9))
    grains = ramp(smooth_noise(rng, size, size // 2, size // 2), 0.25, 0.8)
    return mix(coarse, colours.light, grains * 0.55)


def _grass(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    long, fine = int(rng.integers(3, 7)), size // 3
    blades = smooth_noise(rng, size, long, fine) + 0.6 * smooth_noise(rng, size, 2 * long, size // 2)
    image = mix(colours.dark, colours.base, ramp(blades, -0.5, 0.5))
    return mix(image, colours.light, ramp(blades, 0.35, 1.0) * 0.7)


def _wood(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    x, y = rotated(*pixel_grid(size), rng.uniform(-0.5, 0.5))
    plank = y * rng.uniform(1.0, 2.2) + rng.uniform(0.0, 1.0)
    board = np.floor(plank)
    bend = 0.25 * smooth_noise(rng, size, 2, 2)
    grain = np.sin((y + bend) * rng.uniform(14.0, 24.0) + 1.7 * board) + 0.8 * smooth_noise(rng, size, size // 3, 4)
    image = mix(colours.base, colours.dark, ramp(grain, -1.5, 2.5) * 0.8)
    image = mix(image, colours.light, ((board % 3) * 0.16).astype(np.float32) + 0.02 * x)
    gap = np.abs(plank - board - 0.5)
    return image * (1.0 - 0.7 * ramp(gap, 0.46, 0.5))


def _pebbles(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    x, y = pixel_grid(size)
    cells = int(rng.integers(4, 7))
    lattice = (np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).reshape(-1, 2) + 0.5) / cells * 2 - 1
    seeds = (lattice + rng.uniform(-0.8, 0.8, lattice.shape) / cells).astype(np.float32)
    squares = (x[..., None] - seeds[:, 0]) ** 2 + (y[..., None] - seeds[:, 1]) ** 2
    nearest = np.partition(squares, 1, axis=-1)[..., :2]
    edge = (np.sqrt(nearest[..., 1]) - np.sqrt(nearest[..., 0])) * cells
    tone = rng.uniform(0.0, 1.0, len(seeds)).astype(np.float32)[np.argmin(squares, axis=-1)]
    stones = mix(colours.base, colours.light, tone) * (0.7 + 0.3 * ramp(edge, 0.2, 1.2))
    return mix(colours.dark * 0.6, stones, ramp(edge, 0.02, 0.4))


def _bokeh(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    x, y = pixel_grid(size)
    image = mix(colours.dark * 0.7, colours.base, ramp(smooth_noise(rng, size, 2, 2), -0.7, 0.7))
    for _ in range(int(rng.integers(7, 13))):
        reach = norm(x - rng.uniform(-1.1, 1.1), y - rng.uniform(-1.1, 1.1))
        radius = rng.uniform(0.08, 0.26)
        disc = ramp(reach, radius + 0.05, radius - 0.05) * (0.7 + 0.3 * ramp(reach, 0.5 * radius, radius))
        image = mix(image, mix(colours.base, colours.light, disc) * 1.2, disc * rng.uniform(0.2, 0.65))
    return image


def _horizon(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    x, y = pixel_grid(size)
    line = rng.uniform(-0.5, 0.4) + rng.uniform(-0.15, 0.15) * x + 0.12 * smooth_noise(rng, size, 1, 5)
    sky_colour = hsv(rng.uniform(0.52, 0.66), rng.uniform(0.05, 0.5), rng.uniform(0.7, 1.0))
    clouds = ramp(fractal_noise(rng, size, 2, 3), 0.0, 1.2) * rng.uniform(0.0, 0.8)
    sky = mix(mix(sky_colour * 1.05, sky_colour * 0.75, ramp(y, -0.5, 1.0)), colour(1.0, 1.0, 1.0), clouds)
    ground = mix(colours.dark, colours.base, ramp(smooth_noise(rng, size, size // 4, 5), -1.0, 1.0))
    return mix(ground, sky, ramp(y - line, -0.03, 0.03))


def _leaves(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    x, y = pixel_grid(size)
    image = mix(colours.dark * 0.5, colours.dark, ramp(smooth_noise(rng, size, 4, 4), -0.7, 0.7))
    for _ in range(int(rng.integers(11, 18))):
        u, v = rotated(x - rng.uniform(-1.1, 1.1), y - rng.uniform(-1.1, 1.1), rng.uniform(0.0, 6.28))
        length = rng.uniform(0.25, 0.5)
        inside = 1.0 - (u / length) ** 2 - np.abs(v) * (3.2 / length)
        tone = np.full_like(u, rng.uniform(0.0, 1.0)) * (0.75 + 0.25 * np.sign(v))
        leaf = mix(colours.base, colours.light, tone) * (0.75 + 0.35 * ramp(np.abs(v), 0.0, 0.06))
        image = mix(image, leaf, ramp(inside, 0.0, 0.25))
    return image


def _tiles(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    u, v = rotated(*pixel_grid(size), rng.uniform(-0.7, 0.7))
    count = rng.uniform(1.2, 3.0)
    u, v = u * count + rng.uniform(0.0, 1.0), v * count + rng.uniform(0.0, 1.0)
    column, row = np.floor(u), np.floor(v)
    edge = np.minimum(0.5 - np.abs(u - column - 0.5), 0.5 - np.abs(v - row - 0.5))
    tone = np.sin(column * 12.9898 + row * 78.233 + rng.uniform(0.0, 6.28)) * 0.5 + 0.5
    tone = tone * 0.7 + 0.3 * ramp(fractal_noise(rng, size, 3, 3), -1.0, 1.0)
    return mix(colours.dark, mix(colours.base, colours.light, tone), ramp(edge, 0.02, 0.07))


def _water(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    x, y = pixel_grid(size)
    bend = 0.5 * smooth_noise(rng, size, 3, 3)
    waves = np.zeros_like(x)
    for _ in range(4):
        u, _across = rotated(x, y, rng.uniform(0.9, 2.2))
        waves = waves + np.sin((u + 0.25 * bend) * rng.uniform(9.0, 24.0) + 2.0 * bend + rng.uniform(0.0, 6.28))
    image = mix(colours.dark, colours.base, ramp(waves, -2.5, 2.0))
    return mix(image, colours.light * 1.1, ramp(waves, 1.4, 3.2) * 0.8)


def _studio(rng: np.random.Generator, size: int, colours: Palette) -> Field:
    x, y = rotated(*pixel_grid(size), rng.uniform(-0.6, 0.6))
    sweep = ramp(y + 0.15 * smooth_noise(rng, size, 2, 2), -1.1, 1.1)
    glow = ramp(norm(x - rng.uniform(-0.4, 0.4), y - rng.uniform(-0.2, 0.6)), 1.5, 0.0)
    return mix(mix(colours.dark, colours.base, sweep), colours.light, glow * 0.7)


BACKGROUNDS: dict[str, Background] = {
    "soil": _soil,
    "grass": _grass,
    "wood": _wood,
    "pebbles": _pebbles,
    "bokeh": _bokeh,
    "horizon": _horizon,
    "leaves": _leaves,
    "tiles": _tiles,
    "water": _water,
    "studio": _studio,
}
