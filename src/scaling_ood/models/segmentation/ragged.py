"""Images of several sizes that a network takes as one batch.

The released code draws a scale per GPU and lets batch norm see the images of all GPUs. Padding to one size would show
batch norm and the pyramid's averages mostly padding; one pass per size would show batch norm two images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional


@dataclass(init=False, eq=False)
class Ragged:
    """Tensors that go through the layers of a network side by side; batch norm normalises them together.

    Every function of torch that is given one is applied to each group alone. `batch_norm` is applied to the pixels of
    all groups at once, so with groups of one size everything is as for a plain batch.

    Attributes:
        groups: Tensors (N, C, H, W) that differ in N, H and W alone.
    """

    groups: tuple[torch.Tensor, ...]

    def __init__(self, groups: Iterable[torch.Tensor]) -> None:
        """Put groups side by side."""
        self.groups = tuple(groups)

    def __add__(self, other: Ragged) -> Ragged:
        """Sum of each group with its counterpart, as in a residual block."""
        return Ragged(mine + theirs for mine, theirs in zip(self.groups, other.groups, strict=True))

    def dim(self) -> int:
        """Number of dimensions, which batch norm asks for."""
        return self.groups[0].dim()

    @property
    def ndim(self) -> int:
        """The same, as timm's norms ask for it."""
        return self.dim()

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Ragged:
        """What the function makes of each group."""
        return Ragged(map(function, self.groups))

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        _types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Ragged:
        """How torch applies a function to arguments among which are ragged ones."""
        given = {**(kwargs or {})}
        if function is functional.batch_norm:
            return _batch_norm(*args, **given)
        count = next(len(each.groups) for each in _flat([*args, *given.values()]) if isinstance(each, Ragged))
        calls = (
            ([_group(each, place) for each in args], {name: _group(each, place) for name, each in given.items()})
            for place in range(count)
        )
        return cls(function(*ordered, **named) for ordered, named in calls)


def groups_of(maps: torch.Tensor | Ragged) -> tuple[torch.Tensor, ...]:
    """The groups, or a plain batch as the only one."""
    return maps.groups if isinstance(maps, Ragged) else (maps,)


def _batch_norm(maps: Ragged, *args: Any, **kwargs: Any) -> Ragged:
    """Batch norm over the pixels of all groups: statistics, running statistics and gradients are those of one batch."""
    last = [each.permute(0, 2, 3, 1) for each in maps.groups]  # (N, H, W, C)
    pixels = functional.batch_norm(torch.cat([each.flatten(0, 2) for each in last]), *args, **kwargs)  # (all, C)
    groups, start = [], 0
    for each in last:
        end = start + each.shape[:-1].numel()
        # Memory of their own: the activation behind them may write in place.
        groups.append(pixels[start:end].clone().view(each.shape).permute(0, 3, 1, 2))
        start = end
    return Ragged(groups)


def _flat(arguments: Iterable[Any]) -> Iterable[Any]:
    for each in arguments:
        yield from each if isinstance(each, list | tuple) else (each,)


def _group(argument: Any, place: int) -> Any:
    if isinstance(argument, Ragged):
        return argument.groups[place]
    if isinstance(argument, list | tuple):
        return [_group(each, place) for each in argument]
    return argument
