"""Shadows that figures cast on the ground and on each other."""

from __future__ import annotations

import numpy as np

from miniatures.camera import light_direction
from miniatures.composite.figures import Figure
from miniatures.composite.stage import Stage
from miniatures.fields import Field, blurred, norm, pixel_grid, ramp

_DARKEST = 0.62


def on_ground(figures: list[Figure], stage: Stage, size: int) -> Field:
    """Return the share of the light that figures leave to each pixel of the ground, `(size, size)`."""
    x, y = pixel_grid(size)
    across, z = stage.view.ground(x, y)
    left = np.ones((size, size), np.float32)
    for figure in figures:
        foot_z = stage.view.depth(figure.place.y)
        foot_x = figure.place.x * foot_z / stage.view.focal
        reach = figure.place.radius * foot_z / stage.view.focal
        touch = ramp(norm(across - foot_x, (z - foot_z) * 1.3), 1.15 * reach, 0.1 * reach)
        left = left * (1.0 - _cast(figure, stage, size, (across, np.zeros_like(z), z))) * (1.0 - 0.5 * touch)
    return left


def on_figure(figure: Figure, nearer: list[Figure], stage: Stage, size: int) -> Field:
    """Return the share of the light that nearer figures leave to each pixel of a figure's window."""
    side = len(figure.cover)
    z = stage.view.depth(figure.place.y)
    columns = (figure.left + np.arange(side, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
    rows = 1.0 - (figure.top + np.arange(side, dtype=np.float32) + 0.5) * (2.0 / size)
    across, height = stage.view.upright(columns[None, :], rows[:, None], z)
    left = np.ones((side, side), np.float32)
    for other in nearer:
        left = left * (1.0 - _cast(other, stage, size, (across, height, np.full_like(across, z))))
    return left


def _cast(figure: Figure, stage: Stage, size: int, points: tuple[Field, Field, Field]) -> Field:
    """Return the share of the light that a figure takes from points x, height, z of the world."""
    across, height, z = points
    plane = stage.view.depth(figure.place.y)
    right, up, towards = light_direction(stage.scene)
    way = (z - plane) * (1.0 / towards)
    x, y = stage.view.seen(across + way * right, height + way * up, plane)
    side = len(figure.cover)
    column = np.floor((x + 1.0) * (size / 2)).astype(np.intp) - figure.left
    row = np.floor((1.0 - y) * (size / 2)).astype(np.intp) - figure.top
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side) & (way > 0.0)
    soft = blurred(blurred(figure.cover, 1.0), 1.0)
    hit: Field = soft[np.clip(row, 0, side - 1), np.clip(column, 0, side - 1)] * inside
    return hit * (_DARKEST * stage.scene.light_intensity / 1.15)
