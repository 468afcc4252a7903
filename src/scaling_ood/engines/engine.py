"""What engines need to know of the places where products lie, and of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from scaling_ood.products.plans import Part, Plan
from scaling_ood.training.ranks import Run


class Store(Protocol):
    """Where the parts of a plan go. Picklable; several processes may use it at the same time for different parts."""

    def make(self, plan: Plan[Any], parts: Sequence[Part]) -> Iterator[Part]:
        """Make some parts and store each; yields it as soon as it is stored."""
        ...

    def absent(self, plan: Plan[Any]) -> Sequence[Part]:
        """The parts that no record vouches for; no part is read."""
        ...


class Engine(Protocol):
    """Who makes the parts of a plan, and who trains."""

    @property
    def stores(self) -> bool:
        """Whether parts that a product comes of are stored until it is there: others make some of them."""
        ...

    @property
    def collects(self) -> bool:
        """Whether this run makes the products that come of parts; otherwise it makes its share of these alone."""
        ...

    def mine(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Those of all parts of a plan that this run makes, whether they are there or not."""
        ...

    def make(self, store: Store, plan: Plan[Any], parts: Sequence[Part]) -> Iterator[Part]:
        """Have parts made and stored; yields each that is stored, in any order."""
        ...

    def train(self, run: Run, state: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """Have a training go on after a state (None: from the start); yields the state after each epoch."""
        ...
