"""Copies between processor and GPU that nobody waits for: a batch comes and another goes while one is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

Tag = TypeVar("Tag")
Tensors = dict[str, torch.Tensor]


def passed_through(
    device: torch.device, batches: Iterable[tuple[Tag, torch.Tensor]], work: Callable[[Tag, torch.Tensor], Tensors]
) -> Iterator[tuple[Tag, Tensors]]:
    """What some work on a device makes of each batch, in order, on the processor.

    On a GPU the copies in both directions have streams of their own. A batch is handed out after the work on the next
    one was begun, so that the GPU always has something to do; at most two are on their way.

    Args:
        device: Where the work is done.
        batches: On the processor, each with what `work` must know of it. Of pinned memory, so that nobody waits.
        work: Given a batch on the device, makes tensors on the device without waiting for it.
    """
    if device.type == "cuda":
        yield from _beside(device, batches, work)
        return
    for tag, batch in batches:
        yield tag, {name: tensor.cpu() for name, tensor in work(tag, batch.to(device)).items()}


def _beside(
    device: torch.device, batches: Iterable[tuple[Tag, torch.Tensor]], work: Callable[[Tag, torch.Tensor], Tensors]
) -> Iterator[tuple[Tag, Tensors]]:
    there, back = (torch.cuda.Stream(device) for _ in range(2))  # type: ignore[no-untyped-call]
    own = torch.cuda.current_stream(device)
    going: deque[tuple[Tag, Tensors, torch.cuda.Event]] = deque()
    for tag, batch in batches:
        with torch.cuda.stream(there):
            moved = batch.to(device, non_blocking=True)
        own.wait_stream(there)
        # The memory of a tensor is given to another only when the other stream is done with it too.
        moved.record_stream(own)
        made = work(tag, moved)
        back.wait_stream(own)
        with torch.cuda.stream(back):
            copies = {name: _to_pinned(tensor) for name, tensor in made.items()}
            for tensor in made.values():
                tensor.record_stream(back)
            going.append((tag, copies, back.record_event()))
        if len(going) > 1:
            yield _arrived(*going.popleft())
    while going:
        yield _arrived(*going.popleft())


def _to_pinned(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_cuda:
        return tensor
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)


def _arrived(tag: Tag, copies: Tensors, done: torch.cuda.Event) -> tuple[Tag, Tensors]:
    """In usual memory: of pinned memory there are only two batches, however large a shard is."""
    done.synchronize()
    return tag, {name: tensor.clone() for name, tensor in copies.items()}
