"""Several processes that train a network together, each on its share of every step's images.

Process 0 leads: it alone runs the pipeline, keeps the state and measures validation images. The others follow: they
wait to be told what is trained, and compute in lockstep. What they are told is pickled, and comes from process 0 of the
same job alone, never from a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from scaling_ood.training.batch_norm import Synchronised

Told = TypeVar("Told")
Run = Callable[[dict[str, Any] | None], Iterator[dict[str, Any]]]
"""Continues a training after a state (None: from the start), and yields the state after each epoch."""

_WAITING = timedelta(days=30)
"""Others wait while process 0 prepares data or validates. One that ends is noticed at once, since it hangs up."""

_LOCKSTEP = timedelta(minutes=30)
"""The longest that a process may lag behind the others within an epoch."""


@dataclass(frozen=True)
class Share:
    """Which images of a step a process computes: as many as any other, or one fewer; perhaps none.

    Attributes:
        rank: Number of the process, from 0.
        ranks: How many there are.
    """

    rank: int = 0
    ranks: int = 1

    def of(self, images: int, batches: int = 1, place: int = 0) -> slice:
        """Its images of a batch.

        Args:
            images: Of the batch, of all processes.
            batches: How many batches of so many make a step.
            place: Which of these it is, from 0.

        >>> [Share(rank, 2).of(5) for rank in (0, 1)]
        [slice(0, 2, None), slice(2, 5, None)]
        >>> [Share(0, 2).of(4, batches=2, place=place) for place in (0, 1)]
        [slice(0, 4, None), slice(0, 0, None)]
        """
        edges = (rank * images * batches // self.ranks - place * images for rank in (self.rank, self.rank + 1))
        return slice(*(min(max(edge, 0), images) for edge in edges))


@dataclass(frozen=True)
class Ranks:
    """The processes that train together; by default this one alone.

    Attributes:
        share: What this one computes.
        lockstep: Torch's group of them, for what all do at the same time.
    """

    share: Share = Share()
    lockstep: Any = None

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.share.ranks > 1

    def sums(self, values: Sequence[float]) -> list[float]:
        """Of each value, its sum over all processes; the same bits on all of them."""
        return self._reduced(values, distributed.ReduceOp.SUM)

    def highest(self, values: Sequence[float]) -> list[float]:
        """Of each value, the highest of all processes."""
        return self._reduced(values, distributed.ReduceOp.MAX)

    def weights(self, counts: Sequence[float]) -> list[float]:
        """By what to multiply means over so many items here, so that their mean over the processes is that over all."""
        sums = self.sums(counts)
        return [self.share.ranks * own / whole if whole else 1.0 for own, whole in zip(counts, sums, strict=True)]

    def told(self, measure: Callable[[], Told]) -> Told:
        """What process 0 measures, on all of them; the others wait."""
        return _from_first(measure() if self.share.rank == 0 else None) if self.several else measure()

    def parallel(self, module: nn.Module, device: torch.device) -> nn.Module:
        """A module whose gradients become their means over the processes; it starts with the weights of process 0.

        Raises:
            ValueError: The device is one GPU for all.
        """
        if not self.several:
            return module
        if device.index is not None and device.index != torch.cuda.current_device():
            raise ValueError(
                f"device '{device}' with {self.share.ranks} processes: each takes a GPU of its own, so it must be "
                "'auto', 'cuda' or 'cpu'"
            )
        # What a network has and a training does not use has no gradient.
        return DistributedDataParallel(module, process_group=self.lockstep, find_unused_parameters=True)

    def synchronised(self) -> AbstractContextManager[Any]:
        """Inside, batch norm normalises by the images of all processes."""
        return Synchronised(self.lockstep) if self.several else nullcontext()

    def _reduced(self, values: Sequence[float], how: Any) -> list[float]:
        if not self.several:
            return list(values)
        reduced = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(reduced, how, self.lockstep)
        return reduced.tolist()


ALONE = Ranks()
_present = [ALONE]


def current() -> Ranks:
    """The processes that train together now."""
    return _present[-1]


class LostProcessError(RuntimeError):
    """Another process of a training has ended."""


def together(run: Run, state: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """What a training yields in process 0, while all others compute their shares.

    Args:
        run: Picklable, if there are others.
        state: Where to go on.

    Raises:
        LostProcessError: Another process has ended.
    """
    with _in_words():
        if current().several:
            _from_first((run, state))
        yield from run(state)


def follow() -> None:
    """Compute this process's share of all that process 0 trains, until it says that it is done.

    Raises:
        LostProcessError: Another process has ended before.
    """
    with _in_words():
        while (told := _from_first(None)) is not None:
            run, state = told
            for _ in run(state):
                pass


def join() -> Ranks:
    """Meet the other processes that torchrun started, and take this one's GPU, where there are GPUs.

    Raises:
        ValueError: There are fewer GPUs than processes on this machine.
    """
    backend = "gloo"
    if torch.cuda.is_available():
        local, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= gpus:
            raise ValueError(
                f"process {local} of this machine has no GPU: there are {gpus}. Start as many processes as there are "
                "GPUs; to train on the processor, hide them: CUDA_VISIBLE_DEVICES="
            )
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=_WAITING)
    return joined()


def joined() -> Ranks:
    """The processes of torch's default group, from now on; numbers go between them on the processor."""
    share = Share(distributed.get_rank(), distributed.get_world_size())
    _present.append(Ranks(share, distributed.new_group(timeout=_LOCKSTEP)))
    return current()


def part(done: bool = True) -> None:
    """Leave the other processes; if it is done, process 0 tells them."""
    if done and current().share.rank == 0:
        _from_first(None)
    _present[1:] = []
    distributed.destroy_process_group()


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise LostProcessError("another process of this training has ended; its own message says why") from error
        raise


def _from_first(value: Any) -> Any:
    """What process 0 gives, on all of them."""
    held = [value]
    distributed.broadcast_object_list(held, src=0, device=torch.device("cpu"))
    return held[0]
