"""This process makes all parts, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scaling_ood.engines.engine import Store
from scaling_ood.products.plans import Part, Plan
from scaling_ood.training.ranks import Run, together


@dataclass(frozen=True)
class Local:
    """The engine of a run on one machine."""

    stores: ClassVar[bool] = False

    @property
    def collects(self) -> bool:
        """Always."""
        return True

    def mine(self, parts: Sequence[Part]) -> Sequence[Part]:
        """All."""
        return parts

    def make(self, store: Store, plan: Plan[Any], parts: Sequence[Part]) -> Iterator[Part]:
        """Made here, so that one data loader and one network serve all of them."""
        return store.make(plan, parts)

    def train(self, run: Run, state: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """Here, with the other processes that torchrun started, if there are any."""
        return together(run, state)
