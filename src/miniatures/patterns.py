"""Skin patterns: where a body wears its second colour.

Each takes skin coordinates in wavelengths of the pattern, and a phase in [0, 1), and returns a wave in about [-1, 1].
The second colour lies where the wave is above a threshold that the trait `duty` sets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from miniatures.fields import Field, norm

Pattern = Callable[[Field, Field, float], Field]

TURN = 2.0 * float(np.pi)


def _triangle(value: Field) -> Field:
    """Return a triangle wave of period 1 in [-1, 1]; cheaper than a sine, and with even duty."""
    wave: Field = np.abs(value - np.floor(value) - 0.5) * 4.0 - 1.0
    return wave


def _bands(_u: Field, v: Field, phase: float) -> Field:
    return _triangle(v + phase)


def _chevrons(u: Field, v: Field, phase: float) -> Field:
    return _triangle(v * 0.9 + np.abs(u) * 1.1 + phase)


def _spots(u: Field, v: Field, phase: float) -> Field:
    row = np.floor(v + phase)
    across = u + 0.5 * (row % 2)
    x, y = across - np.floor(across) - 0.5, v + phase - row - 0.5
    return 1.0 - norm(x, y) * 3.3


def _rings(u: Field, v: Field, phase: float) -> Field:
    return _triangle(norm(u, v) + 0.2 * phase)


def _rays(u: Field, v: Field, phase: float) -> Field:
    return _triangle(np.arctan2(u, v) * (5.0 / TURN) + 0.2 * phase)


def _checks(u: Field, v: Field, phase: float) -> Field:
    return np.clip(_triangle((u + phase) * 0.6) * _triangle(v * 0.6) * 4.0, -1.0, 1.0)


def _net(u: Field, v: Field, phase: float) -> Field:
    return np.maximum(_triangle((u + v) * 0.55 + phase), _triangle((u - v) * 0.55)) * 1.5 - 0.95


def _marble(u: Field, v: Field, phase: float) -> Field:
    turn = TURN * phase
    bend = 1.3 * np.sin(2.9 * v + turn) + 0.9 * np.sin(4.3 * u + 2.0 * turn)
    wave: Field = np.sin(3.1 * u + bend + 1.2 * np.sin(3.7 * v - 2.1 * u + 3.0 * turn))
    return wave


PATTERNS: dict[str, Pattern] = {
    "bands": _bands,
    "chevrons": _chevrons,
    "spots": _spots,
    "rings": _rings,
    "rays": _rays,
    "checks": _checks,
    "net": _net,
    "marble": _marble,
}
