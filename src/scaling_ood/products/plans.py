"""Plans: what a node returns instead of doing long work itself.

A node stays pure and quick: it returns a plan that names the parts that its product consists of, and a maker of them.
The catalog type that receives the plan looks up which parts of its key exist already, has the others made, and writes
each one atomically. A killed run therefore resumes where it stopped, and a product made from other inputs is never
mistaken for this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from scaling_ood.products.keys import NOT_MADE, Origin

Content = TypeVar("Content")


@dataclass(frozen=True)
class Part:
    """One piece of a product, and how many items (images, rows) it holds; the count drives the progress bar."""

    name: str
    items: int


@dataclass(frozen=True)
class Plan(Generic[Content]):
    """A product that is made part by part.

    Attributes:
        parts: All parts, in order.
        make: Given any of the parts, yields each of them as `(name, content)`, in that order. It is picklable, so that
            another process can make some of the parts: what a part holds does not depend on which others are asked for
            with it. Many at once are faster, since one data loader serves them.
        about: What to tell a reader of the stored product (network, transform, precision, …); not part of the key.
        origin: What it is made from.
    """

    parts: Sequence[Part]
    make: Callable[[Sequence[Part]], Iterator[tuple[str, Content]]]
    about: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin = NOT_MADE

    @property
    def key(self) -> str:
        """Fingerprint of everything that the product depends on."""
        return self.origin.key


@dataclass(frozen=True)
class TrainingPlan:
    """Networks that are trained epoch by epoch.

    Attributes:
        epochs: How many states `run` yields from the start; 0 for weights that are used as they are.
        run: Continues after the given state (None: from the start), yielding the complete state after each epoch:
            networks, optimiser, schedule, random generators and history, so that a resumed training equals an
            uninterrupted one. It is picklable, so that other processes can take part.
        about: What to tell a reader of the networks; not part of the key.
        origin: What they are made from.
    """

    epochs: int
    run: Callable[[dict[str, Any] | None], Iterator[dict[str, Any]]]
    about: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin = NOT_MADE

    @property
    def key(self) -> str:
        """Fingerprint of everything that the trained weights depend on."""
        return self.origin.key
