"""Where a surface wears its second colour: textures of streets, and those that only unseen objects have."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from miniatures.fields import Field, ramp
from miniatures.patterns import PATTERNS

Texture = Callable[[Field, Field, Field], Field]
"""From coordinates in repetitions (right, up) and a phase to the share of the second colour, in [0, 1]."""

_TILE = 128
"""Cells of the noise; a power of two."""


def _fraction(value: Field) -> Field:
    return value - np.floor(value)


def _within(value: Field, reach: float) -> NDArray[np.bool_]:
    """Return where a value is nearer to 0 than `reach`."""
    near: NDArray[np.bool_] = np.abs(value) < reach
    return near


def _plain(x: Field, _y: Field, _phase: Field) -> Field:
    return np.zeros_like(x)


def _windows(x: Field, y: Field, phase: Field) -> Field:
    """Return upright windows above a ground floor of shop fronts."""
    shop = y < 1.0
    across = np.where(shop, x * 0.4, x) + phase
    side, level = _fraction(across) - 0.5, _fraction(y) - 0.52
    seen = np.where(shop, _within(side, 0.42) & _within(level, 0.32), _within(side, 0.25) & _within(level, 0.3))
    cell = np.floor(across) * 12.99 + np.floor(y) * 78.23
    glass: Field = seen * (0.75 + 0.25 * np.sin(cell))
    return glass


def _ribbons(x: Field, y: Field, phase: Field) -> Field:
    """Return ribbon windows that run along the whole storey."""
    pane = _within(_fraction(x * 0.7 + phase) - 0.5, 0.46) & _within(_fraction(y) - 0.55, 0.24)
    return pane * np.float32(0.95)


def _bricks(x: Field, y: Field, phase: Field) -> Field:
    row = np.floor(y * 2.0)
    mortar = _within(_fraction(y * 2.0), 0.22) | _within(_fraction(x + 0.5 * (row % 2) + phase), 0.12)
    return mortar * np.float32(0.8)


def _pickets(x: Field, y: Field, phase: Field) -> Field:
    picket, rail = _within(_fraction(x + phase), 0.55), _within(y - 0.9, 0.16) | _within(y - 3.4, 0.16)
    return np.float32(1.0) - (picket | rail)


def _slabs(x: Field, y: Field, phase: Field) -> Field:
    joint = _within(_fraction(x + phase), 0.07) | _within(_fraction(y), 0.05)
    return joint * np.float32(0.7)


def _foliage(x: Field, y: Field, phase: Field) -> Field:
    return ramp(grains(x * 6.0 + 40.0 * phase, y * 6.0), -0.4, 0.9)


def _border(x: Field, y: Field, _phase: Field) -> Field:
    """Return the rim of a round sign: coordinates are radii."""
    return np.float32(1.0) - _within(x * x + y * y, 0.5)


_STREET: dict[str, Texture] = {
    "plain": _plain,
    "windows": _windows,
    "ribbons": _ribbons,
    "bricks": _bricks,
    "pickets": _pickets,
    "slabs": _slabs,
    "foliage": _foliage,
    "border": _border,
}


def _unseen(name: str) -> Texture:
    def texture(x: Field, y: Field, phase: Field) -> Field:
        # A pattern takes one phase, and neighbouring facets of an object must not differ in it.
        first = float(phase[0]) if phase.size else 0.0
        return ramp(PATTERNS[name](x, y, first), -0.25, 0.25)

    return texture


UNSEEN_TEXTURES: tuple[str, ...] = tuple(PATTERNS)
"""Textures that no known object wears; a test holds that against all scenes."""

TEXTURES: dict[str, Texture] = _STREET | {name: _unseen(name) for name in UNSEEN_TEXTURES}
TEXTURE_IDS = {name: number for number, name in enumerate(TEXTURES)}


@lru_cache(maxsize=1)
def _tile() -> Field:
    rng = np.random.default_rng([0, 7])
    white = rng.standard_normal((_TILE, _TILE), dtype=np.float32)
    smooth = sum(np.roll(white, shift, (0, 1)) for shift in ((0, 0), (0, 1), (1, 0), (1, 1)))
    coarse = np.kron(rng.standard_normal((_TILE // 4, _TILE // 4)), np.ones((4, 4)))
    tile: Field = (0.35 * np.asarray(smooth) + 0.6 * coarse).astype(np.float32)
    tile.flags.writeable = False
    return tile


def grains(x: Field, y: Field) -> Field:
    """Return noise with standard deviation near 1, constant on unit cells; it repeats every 128 cells."""
    x, y = np.floor(x), np.floor(y)
    return _tile().ravel().take((y.astype(np.int32) & (_TILE - 1)) * _TILE + (x.astype(np.int32) & (_TILE - 1)))
