"""A process has one generator of random numbers: whoever uses it takes turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import torch

_TURN = RLock()


@contextmanager
def alone() -> Iterator[None]:
    """Networks are built, trained and run in one thread at a time, whatever Kedro's runner is.

    What another thread took from the generator would change a training.
    """
    with _TURN:
        yield


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """What is drawn inside, on the processor, depends on the seed alone, and changes nothing outside.

    >>> with seeded(0):
    ...     first = torch.rand(())
    >>> with seeded(0):
    ...     first.equal(torch.rand(()))
    True
    """
    with alone(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
