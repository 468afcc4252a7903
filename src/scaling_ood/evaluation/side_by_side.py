"""Work on many scenes at a time, with results in the order of the scenes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_BESIDE_A_GPU = 4


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> Iterator[Result]:
    """Results in the order of the items, each made by one thread; twice as many as there are threads wait at most.

    There are as many threads as PyTorch would use for one operation (`OMP_NUM_THREADS`, by default all cores), each of
    which then runs its operations alone: what is made does not depend on their number. Beside a GPU a few are enough to
    decode labels.

    Args:
        function: Releases the interpreter lock for most of its time, as NumPy, PyTorch and Pillow do.
        items: Taken one by one, when there is room.
        device: On which it works.
    """
    whole = torch.get_num_threads()
    threads = whole if device.type == "cpu" else min(whole, _MOST_BESIDE_A_GPU)
    if threads == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(whole)
