"""What the objects stand on and what is behind them, in linear light."""

from __future__ import annotations

import numpy as np

from miniatures.backgrounds import BACKGROUNDS, Palette, palette
from miniatures.camera import light_colour, light_direction
from miniatures.colour import mix
from miniatures.composite.stage import Stage
from miniatures.fields import Field, blurred, halved, pixel_grid, ramp


def draw_ground(stage: Stage, size: int, rng: np.random.Generator) -> tuple[Field, Palette]:
    """Light the surroundings of the objects.

    Args:
        stage: Camera, light and colours.
        size: Height and width of the image.
        rng: Source of chance of the details.

    Returns:
        Light that reaches the camera, `(3, size, size)`, and the colours of the ground.
    """
    scene, view = stage.scene, stage.view
    x, y = pixel_grid(size)
    colours = palette(scene.ground_hue, scene.ground_saturation, scene.ground_value, rng)
    # A texture can be halved twice, whatever the size of the image.
    texture = blurred(BACKGROUNDS[scene.background](rng, size + -size % 4, colours), scene.ground_defocus)
    sun = light_colour(scene)
    _, up, towards = light_direction(scene)
    ground = _laid_out(texture, *view.ground(x, y), stage) * (sun * (0.4 + 0.6 * up) + scene.light_ambient)
    if view.horizon >= 1.0:
        return ground, colours
    hue = scene.ground_hue + rng.normal(0.0, 0.15)
    distant = palette(hue, scene.ground_saturation, scene.ground_value, rng)
    behind = BACKGROUNDS[stage.backdrop](rng, size, distant) * (sun * towards + scene.light_ambient)
    for _ in range(4):
        behind = blurred(behind, 1.0)
    return mix(ground, behind, ramp(y - view.horizon, -0.06, 0.03)), colours


def _laid_out(texture: Field, x: Field, z: Field, stage: Stage) -> Field:
    """Cover the ground with a texture and its mirror images; with distance, detail too fine for a pixel is averaged."""
    near, far, focal = texture, halved(halved(texture)), stage.view.focal
    for _ in range(2):
        far = blurred(far, 1.0)
    u, v = x * stage.detail, z * (2.0 * stage.detail / focal)
    image = mix(_tiled(near, u, v), _tiled(far, u, v), ramp(z, 1.0 * focal, 2.2 * focal))
    return mix(image, texture.mean(axis=(1, 2), keepdims=True), ramp(z, 1.5 * focal, 6.0 * focal))


def _tiled(texture: Field, u: Field, v: Field) -> Field:
    """Look up a texture that covers [-1, 1] x [-1, 1], and beyond it its mirror images, between its pixels."""
    size = texture.shape[-1]
    column, row = (np.abs((place * 0.5 + 0.5) % 2.0 - 1.0) * (size - 1) for place in (u, -v))
    left, top = (np.minimum(place.astype(np.intp), size - 2) for place in (column, row))
    right, down = column - left, row - top
    flat, corner = texture.reshape(3, -1), top * size + left
    upper = mix(flat.take(corner, axis=1), flat.take(corner + 1, axis=1), right)
    return mix(upper, mix(flat.take(corner + size, axis=1), flat.take(corner + size + 1, axis=1), right), down)
