"""Batch norm over the images of all processes, whatever the layer that asks for it, on every device.

PyTorch's `SyncBatchNorm` refuses processors, and its conversion would replace layers that do more than normalise, such
as those of timm, by ones that do only that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import distributed
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class Synchronised(TorchFunctionMode):
    """Inside, `torch.nn.functional.batch_norm` that learns takes its statistics from all processes of a group.

    Each may have another number of images, or none. Outputs, running statistics and gradients are those of one process
    with all images, whose loss is the sum of the losses.
    """

    def __init__(self, group: Any) -> None:
        """Of the processes of the group; all must call the same layers in the same order."""
        super().__init__()
        self.group = group

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """How torch applies a function while this is entered."""
        given = {**(kwargs or {})}
        if function is not functional.batch_norm:
            return function(*args, **given)
        if isinstance(args[0], torch.Tensor):
            return self._batch_norm(*args, **given)
        with self:  # Images of several sizes: what they do with them comes back here.
            return type(args[0]).__torch_function__(function, types, tuple(args), given)

    def _batch_norm(
        self,
        maps: torch.Tensor,
        running_mean: torch.Tensor | None,
        running_var: torch.Tensor | None,
        weight: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> torch.Tensor:
        if not training:
            return functional.batch_norm(maps, running_mean, running_var, weight, bias, False, momentum, eps)
        mean, variance, count = _statistics(maps.detach(), self.group)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
                running_var.mul_(1 - momentum).add_(variance * (count / (count - 1)), alpha=momentum)
        scale = (variance + eps).rsqrt()
        normalised: torch.Tensor = _Normalised.apply(maps, weight, bias, mean, scale, count, self.group)
        return normalised


def _statistics(maps: torch.Tensor, group: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean (C,) and variance (C,) of maps (N, C, ...) of all processes, and how many values (1,) each channel has."""
    channels = maps.shape[1]
    here = maps.numel() // channels
    own = maps.new_zeros(2 * channels + 1, dtype=_precise(maps).dtype)
    own[-1] = here
    if here:
        own[channels:-1], own[:channels] = torch.var_mean(_precise(maps), _but_channels(maps), correction=0)
    every = [torch.empty_like(own) for _ in range(distributed.get_world_size(group))]
    distributed.all_gather(every, own, group)
    means, variances, counts = torch.split(torch.stack(every), [channels, channels, 1], dim=1)
    count = counts.sum(0)
    if here <= 1 and count.item() <= 1:  # Asked of a GPU in this case alone: the answer takes time.
        raise ValueError("batch norm that learns needs more than one value per channel, of all processes together")
    mean = (counts * means).sum(0) / count
    return mean, (counts * (variances + (means - mean).square())).sum(0) / count, count


class _Normalised(torch.autograd.Function):
    """(maps - mean) * scale * weight + bias, where mean and scale come from the maps of all processes."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        mean: torch.Tensor,
        scale: torch.Tensor,
        count: torch.Tensor,
        group: Any,
    ) -> torch.Tensor:
        ctx.save_for_backward(maps, weight, mean, scale, count)
        ctx.group = group
        out = (_precise(maps) - _broadcast(mean, maps)) * _broadcast(_product(scale, weight), maps)
        return (out if bias is None else out + _broadcast(bias, maps)).to(maps.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        maps, weight, mean, scale, count = ctx.saved_tensors
        grad, normal = _precise(grad), (_precise(maps) - _broadcast(mean, maps)) * _broadcast(scale, maps)
        own = torch.stack([each.sum(_but_channels(maps)) for each in (grad * normal, grad)])
        whole = own.clone()
        distributed.all_reduce(whole, group=ctx.group)
        slope, shift = (_broadcast(each, maps) for each in whole / count)
        of_maps = (grad - shift - normal * slope) * _broadcast(_product(scale, weight), maps)
        of_layer = (sums if needed else None for sums, needed in zip(own, ctx.needs_input_grad[1:3], strict=True))
        return of_maps.to(maps.dtype), *of_layer, None, None, None, None


def _product(scale: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    return scale if weight is None else scale * weight


def _precise(maps: torch.Tensor) -> torch.Tensor:
    return maps if maps.dtype == torch.float64 else maps.float()


def _but_channels(maps: torch.Tensor) -> list[int]:
    return [0, *range(2, maps.ndim)]


def _broadcast(values: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    return values.view(1, -1, *(1,) * (maps.ndim - 2))
