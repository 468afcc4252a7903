"""Storing beside the making: while one thing is stored, the next one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")
Kept = TypeVar("Kept")


def stored_beside(things: Iterable[Made], store: Callable[[Made], Kept]) -> Iterator[Kept]:
    """What comes of storing each thing, in order.

    It is done in a thread of its own, never more than one thing behind: the next one waits until this one is stored.
    However the making ends, what was made before is stored. An error of the storing is raised here, in place of what
    would have come next.

    >>> list(stored_beside([1, 2, 3], lambda number: number * 10))
    [10, 20, 30]
    """
    with ThreadPoolExecutor(1, thread_name_prefix="storing") as thread:
        going: Future[Kept] | None = None
        for thing in things:
            before = None if going is None else [going.result()]
            going = thread.submit(store, thing)
            del thing  # Or it would stay in memory beside the next one.
            if before is not None:
                yield before[0]
        if going is not None:
            yield going.result()
