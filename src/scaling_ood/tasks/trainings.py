"""The training of a network, told so that other processes can take part in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from scaling_ood.evaluation.chunks import seed_name
from scaling_ood.training import Lesson, ResumableState


@dataclass(frozen=True)
class SeedTrainings:
    """One training per seed, one after the other; picklable.

    Attributes:
        lesson: Reads what is learnt from, and says how.
        build: Makes the network of a `seed`, with its initial weights.
        seeds: Of the networks.
    """

    lesson: Callable[[], Lesson[Any]]
    build: Callable[..., nn.Module]
    seeds: Sequence[int]

    def __call__(self, state: ResumableState | None) -> Iterator[ResumableState]:
        """Go on after a state; yields that after each epoch."""
        builders = {seed_name(seed): partial(self.build, seed=seed) for seed in self.seeds}
        yield from self.lesson().train(builders, {seed_name(seed): seed for seed in self.seeds}, state)
