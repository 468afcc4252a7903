"""Plans: what a node returns instead of doing long work itself.

A node stays pure and quick: it returns a plan that names the parts that its product consists of, and a maker of them.
The catalog type that receives the plan looks up which parts of its key exist already, has the others made, and writes
each one atomically. A killed run therefore resumes where it stopped, and a product made from other inputs is never
mistaken for this one.

A node that makes its product as a whole, such as a table, is `planned`: in the graph it returns a plan of one part.
One whose product comes of parts that nobody needs afterwards, such as scores, is `divided`: its plan says what comes
`then`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from scaling_ood.products.keys import NOT_MADE, Arguments, Keyed, Origin, digest, stamped, what_is_told

Content = TypeVar("Content")


@dataclass(frozen=True)
class Part:
    """One piece of a product, and how many items (images, rows) it holds; the count drives the progress bar."""

    name: str
    items: int


Make = Callable[[Sequence[Part]], Iterator[tuple[str, Content]]]
"""Given any of the parts, yields each of them as `(name, content)`, in that order: makes it, or reads it."""


@dataclass(frozen=True)
class Plan(Generic[Content]):
    """A product that is made part by part.

    Attributes:
        parts: All parts, in order.
        make: Makes them. It is picklable, so that another process can make some of the parts: what a part holds does
            not depend on which others are asked for with it. Many at once are faster, since one data loader serves
            them.
        about: What to tell a reader of the stored product (network, transform, precision, …); not part of the key.
        origin: What it is made from.
        then: Where the product is not its parts but comes of them: given what makes or reads parts, and all parts, the
            product. Parts may be asked for more than once, and a few at a time.
        next_round: In its place, where further parts come of these first: the same to the plan of those.
        at_once: The same as the parts, in as few as can be: for a process that makes all alone and stores none.
    """

    parts: Sequence[Part]
    make: Make[Content]
    about: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin = NOT_MADE
    then: Callable[[Make[Content], Sequence[Part]], Any] | None = None
    next_round: Callable[[Make[Content], Sequence[Part]], Plan[Any]] | None = None
    at_once: Sequence[Part] = ()

    @classmethod
    def undivided(cls, product: Callable[[], Any]) -> Plan[Any]:
        """A plan of what comes of no parts: one process makes it."""
        return cls((), _nothing, then=lambda *_: product())

    @property
    def key(self) -> str:
        """Fingerprint of everything that the product depends on."""
        return self.origin.key

    def after(self, make: Make[Content], parts: Sequence[Part]) -> Any:
        """What comes of the parts: the product, or the plan of the next round; without either, the only part."""
        if follows := self.next_round or self.then:
            return stamped(follows(make, parts), self.origin)
        ((_, content),) = make(parts)
        return content

    def whole(self) -> Any:
        """The product, where it comes of the parts or is the only one; no part is stored."""
        plan: Any = self
        while isinstance(plan, Plan):
            plan = plan.after(plan.make, plan.at_once or plan.parts)
        return plan


def _nothing(_: Sequence[Part]) -> Iterator[tuple[str, Any]]:
    return iter(())


def planned(
    version: int = 1,
    silent: Collection[str] = (),
    products: int = 1,
    unless: Callable[[Arguments], bool] = lambda _: False,
    **reads: Callable[[Arguments], Any],
) -> Callable[[Callable[..., Any]], Planned]:
    """Declare a node function that makes its products as a whole, and is not run where they are there.

    Args:
        version: As of `keyed`.
        silent: Arguments of which the product tells a reader nothing beyond what is part of its key.
        products: How many it makes.
        unless: Whether it reads what no argument says the content of, and so must be run to know what it makes.
        reads: As of `keyed`.
    """
    return lambda function: Planned(function, version, reads, silent, products, unless)


def divided(
    version: int = 1, silent: Collection[str] = (), **reads: Callable[[Arguments], Any]
) -> Callable[[Callable[..., Any]], Divided]:
    """Declare a node function that returns a plan whose product comes of its parts; arguments as of `planned`."""
    return lambda function: Divided(function, version, reads, silent)


class Planned(Keyed):
    """A node function that is a plan in the graph; called outside of one, it is run."""

    def __init__(
        self,
        function: Callable[..., Any],
        version: int,
        reads: Mapping[str, Callable[[Arguments], Any]],
        silent: Collection[str] = (),
        products: int = 1,
        unless: Callable[[Arguments], bool] = lambda _: False,
    ) -> None:
        """Take over a function; see `planned`."""
        super().__init__(function, version, reads)
        self.silent = frozenset(silent)
        self.products = products
        self.unless = unless

    def in_graph(self, given: Arguments) -> Any:
        """A plan of one part for each product."""
        if self.unless(given):
            return self(**given)
        whole = Whole(self, given)
        plan = Plan([Part(self.__name__, 1)], whole, origin=self.origin(given))
        if self.products == 1:
            return plan
        return tuple(replace(plan, make=OneOf(whole, place)) for place in range(self.products))

    def origin(self, given: Arguments) -> Origin:
        """What the product is made from, and the fingerprint of what else it tells."""
        # With their order, in which tables have their rows.
        told = [(name, what_is_told(value)) for name, value in self.flat(given).items() if name not in self.silent]
        return replace(super().origin(given), told=digest(told))


class Divided(Planned):
    """A node function that returns a plan, which reads nothing but what records tell."""

    divides: ClassVar[bool] = True

    def in_graph(self, given: Arguments) -> Plan[Any]:
        """Its plan."""
        plan: Plan[Any] = self(**given)
        return plan


@dataclass(frozen=True)
class Whole:
    """Makes the one part of a planned node's product; picklable.

    Attributes:
        function: The node's.
        given: Its arguments.
    """

    function: Planned
    given: Arguments

    @cached_property
    def made(self) -> Any:
        """What the function makes, once."""
        return self.function(**self.given)

    def __call__(self, parts: Sequence[Part]) -> Iterator[tuple[str, Any]]:
        """Run the function."""
        for part in parts:
            yield part.name, self.made


@dataclass(frozen=True)
class OneOf:
    """Makes one of several products that a node makes together.

    Attributes:
        whole: Makes all.
        place: Of this one among them.
    """

    whole: Whole
    place: int

    def __call__(self, parts: Sequence[Part]) -> Iterator[tuple[str, Any]]:
        """Run the function, if no other product has."""
        for part in parts:
            yield part.name, self.whole.made[self.place]


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
