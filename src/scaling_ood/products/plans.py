"""Plans: what a node returns instead of doing long work itself.

A node stays pure and quick: it returns a plan that names the parts that its product consists of, and a maker of them.
The catalog type that receives the plan looks up which parts of its key exist already, has the others made, and writes
each one atomically. A killed run therefore resumes where it stopped, and a product made from other inputs is never
mistaken for this one.

A node that makes its product as a whole, such as a table, is `planned`: in the graph it returns a plan of one part.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from scaling_ood.products.keys import NOT_MADE, Arguments, Keyed, Origin, digest, what_is_told

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

    def whole(self) -> Content:
        """What a plan of one part makes."""
        ((_, content),) = self.make(self.parts)
        return content


def planned(
    version: int = 1, silent: Collection[str] = (), **reads: Callable[[Arguments], Any]
) -> Callable[[Callable[..., Any]], Planned]:
    """Declare a node function that makes one product as a whole, and is not run where that is there.

    Args:
        version: As of `keyed`.
        silent: Arguments of which the product tells a reader nothing beyond what is part of its key.
        reads: As of `keyed`.
    """
    return lambda function: Planned(function, version, reads, silent)


class Planned(Keyed):
    """A node function that is a plan in the graph; called outside of one, it is run."""

    def __init__(
        self,
        function: Callable[..., Any],
        version: int,
        reads: Mapping[str, Callable[[Arguments], Any]],
        silent: Collection[str],
    ) -> None:
        """Take over a function; see `planned`."""
        super().__init__(function, version, reads)
        self.silent = frozenset(silent)

    def in_graph(self, given: Arguments) -> Plan[Any]:
        """A plan of one part."""
        return Plan([Part(self.__name__, 1)], Whole(self, given), origin=self.origin(given))

    def origin(self, given: Arguments) -> Origin:
        """What the product is made from, and the fingerprint of what else it tells."""
        # With their order, in which tables have their rows.
        told = [(name, what_is_told(value)) for name, value in self.flat(given).items() if name not in self.silent]
        return replace(super().origin(given), told=digest(told))


@dataclass(frozen=True)
class Whole:
    """Makes the one part of a planned node's product; picklable.

    Attributes:
        function: The node's.
        given: Its arguments.
    """

    function: Planned
    given: Arguments

    def __call__(self, parts: Sequence[Part]) -> Iterator[tuple[str, Any]]:
        """Run the function."""
        for part in parts:
            yield part.name, self.function(**self.given)


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
