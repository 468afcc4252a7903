"""Which objects an image shows: the only thing that depends on the folder."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from miniatures.composite.figures import Individual
from miniatures.composite.kinds import Kind, kinds
from miniatures.composite.layout import PARTS, CompositeFolder
from miniatures.composite.spec import CompositeSpec
from miniatures.composite.stage import Stage, draw_stage
from miniatures.traits import individual

_ANOTHER_OF_A_KIND = 0.2
"""Probability that an object is of the kind of one before it."""


class Stream(IntEnum):
    """Purposes of chance; each has a stream of its own, so that one cannot disturb another."""

    STAGE = 1
    CHOICE = 2
    INDIVIDUALS = 3
    DETAILS = 4


class Composition(NamedTuple):
    """Everything that goes into one image.

    Attributes:
        stage: Circumstances, with a place for each object.
        kinds: Of the objects, in the order of the places.
        individuals: The objects.
    """

    stage: Stage
    kinds: tuple[Kind, ...]
    individuals: tuple[Individual, ...]


def stream(spec: CompositeSpec, content: CompositeFolder, index: int, purpose: Stream) -> np.random.Generator:
    """Return the source of chance for one purpose of one image."""
    number = 0 if content.kind is None else content.kind.number
    return np.random.default_rng([spec.seed, purpose, PARTS.index(content.part), number, index])


def compose(spec: CompositeSpec, content: CompositeFolder, index: int) -> Composition:
    """Draw all chance that goes into one image, without rendering it.

    Args:
        spec: What to render.
        content: Whose image.
        index: Which one, from 0.

    Returns:
        The same composition whatever was drawn before it. A folder of a kind shows at least one object of that kind.
    """
    stage = draw_stage(stream(spec, content, index, Stream.STAGE))
    known, unseen = kinds(spec)
    pool = unseen if content.part == "ood" else known
    chosen = _choice(pool, content.kind, len(stage.places), stream(spec, content, index, Stream.CHOICE))
    rng = stream(spec, content, index, Stream.INDIVIDUALS)
    objects = [Individual(one.look, individual(one.traits, spec.spread, rng), rng.uniform(0.0, 1.0)) for one in chosen]
    return Composition(stage, chosen, tuple(objects))


def _choice(pool: tuple[Kind, ...], given: Kind | None, count: int, rng: np.random.Generator) -> tuple[Kind, ...]:
    """Draw the kinds of some objects; how many different ones there are does not depend on the size of the pool."""
    first = given or pool[rng.integers(len(pool))]
    others = [pool[i] for i in rng.permutation(len(pool)) if pool[i].number != first.number]
    chosen = [first]
    while len(chosen) < count:
        repeated = rng.random() < _ANOTHER_OF_A_KIND
        chosen.append(chosen[rng.integers(len(chosen))] if repeated else others.pop())
    return tuple(chosen[i] for i in rng.permutation(count))
