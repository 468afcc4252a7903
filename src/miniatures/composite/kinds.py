"""The kinds of objects: what each is called and what it looks like, and which of them a model gets to see."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniatures.composite.spec import CompositeSpec
from miniatures.limbs import LIMBS
from miniatures.naming import family_names
from miniatures.patterns import PATTERNS
from miniatures.shapes import BODIES
from miniatures.traits import Point, Traits, family_centres, traits_at

_KINDS_STREAM = 0


class Kind(NamedTuple):
    """One kind of objects.

    Attributes:
        name: One invented word.
        number: Position among all kinds, known ones first.
        look: Keys of `BODIES`, `PATTERNS` and `LIMBS`.
        traits: Around which its individuals scatter.
    """

    name: str
    number: int
    look: tuple[str, str, str]
    traits: Traits


class Kinds(NamedTuple):
    """All kinds.

    Attributes:
        known: In training scenes, in alphabetical order: the classes.
        unseen: In OOD scenes only.
    """

    known: tuple[Kind, ...]
    unseen: tuple[Kind, ...]


@lru_cache(maxsize=8)
def kinds(spec: CompositeSpec) -> Kinds:
    """Invent the kinds of a spec.

    Known kinds use every body plan, every pattern and every sort of limbs. An unseen kind combines a body plan and a
    pattern that no known kind combines, with limbs and trait values of known kinds. Each value is handed out evenly: on
    both sides of the border the kinds are on average as colourful, as bright and as richly patterned.

    Args:
        spec: Numbers and seed.

    Returns:
        The same kinds for the same spec.
    """
    rng = np.random.default_rng([spec.seed, _KINDS_STREAM])
    names = family_names(spec.known_kinds + spec.unseen_kinds, rng)
    looks = _looks(spec, rng)
    centres = family_centres(spec.known_kinds, rng)
    points = np.concatenate([centres, evenly_recombined(centres, spec.unseen_kinds, rng)])
    known = sorted(names[: spec.known_kinds])
    ordered = (*known, *names[spec.known_kinds :])
    listed = [Kind(ordered[i], i, looks[i], traits_at(points[i])) for i in range(len(names))]
    return Kinds(tuple(listed[: spec.known_kinds]), tuple(listed[spec.known_kinds :]))


def evenly_recombined(centres: Point, count: int, rng: np.random.Generator) -> Point:
    """Draw the traits of unseen kinds: every single value is that of a known kind, and they are spread like those.

    Args:
        centres: Of the known kinds, `(known, len(TRAITS))`.
        count: Number of unseen kinds.
        rng: Source of chance.

    Returns:
        `(count, len(TRAITS))`: of each trait, `count` evenly spaced order statistics of the known values.
    """
    ranked = np.sort(centres, axis=0)
    ranks = ((np.arange(count) + 0.5) / count * len(centres)).astype(int)
    shuffled = rng.permuted(np.repeat(ranks[:, None], centres.shape[1], axis=1), axis=0)
    return np.take_along_axis(ranked, shuffled, axis=0)


def _looks(spec: CompositeSpec, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Return body, pattern and limbs of every kind, known kinds first."""
    bodies, patterns, limbs = (rng.permutation(list(part)) for part in (BODIES, PATTERNS, LIMBS))
    # Along the diagonals of the grid every body and every pattern comes up before either is used again.
    count = spec.known_kinds + spec.unseen_kinds
    cells = [(i, (i + shift) % len(patterns)) for shift in range(len(patterns)) for i in range(len(bodies))][:count]
    turn: NDArray[np.intp] = np.concatenate([rng.permutation(spec.known_kinds), rng.permutation(spec.unseen_kinds)])
    return [
        (str(bodies[i]), str(patterns[j]), str(limbs[k % len(limbs)])) for (i, j), k in zip(cells, turn, strict=True)
    ]
