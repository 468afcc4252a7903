"""Forward passes: device, precision and memory order in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Literal

import torch
from torch import nn

from scaling_ood.images.transforms import Preprocessing

Precision = Literal["float32", "tf32", "bf16"]

TF32_CAPABILITY = (8, 0)
"""Compute capability from which on NVIDIA's GPUs have TF32: Ampere."""

_TURN = RLock()
_asked = [False]
"""Whether the work that has its turn asked for TF32; last, the innermost."""


def exact_float32() -> None:
    """Make single precision mean single precision in this process, wherever a network is run or trained.

    PyTorch computes convolutions of float32 on recent GPUs with 10 bits of mantissa (TF32) unless it is told not to, so
    the same weights would give other scores on another GPU. It stays off, but for work that asks for it; see
    `Forward.arithmetic`.
    """
    with _TURN:
        torch.backends.cudnn.allow_tf32 = _asked[-1]
        torch.set_float32_matmul_precision("high" if _asked[-1] else "highest")


@contextmanager
def products(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Convolutions and matrix products on a GPU in TF32, or exact.

    PyTorch has one switch for the whole process, which counts when an operation is begun. So work on a GPU, of either
    kind, takes turns with that of other threads; on a processor there is no TF32, and nobody waits. Who needs `alone`
    too takes it before.
    """
    if device.type != "cuda":
        yield
        return
    with _TURN:
        _asked.append(tf32)
        exact_float32()
        try:
            yield
        finally:
            _asked.pop()
            exact_float32()


@dataclass(frozen=True)
class Forward:
    """How a network is run.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, `mps` or `auto`, which takes the GPU if there is one.
        precision: `float32`, which never is TF32; `tf32`, which is float32 with 10 bits of mantissa in convolutions and
            matrix products, on GPUs that have it; or `bf16` for automatic mixed precision.
        channels_last: Memory order of the convolutions.
    """

    device: str = "auto"
    precision: Precision = "float32"
    channels_last: bool = True

    @property
    def torch_device(self) -> torch.device:
        """The device that is meant; everything that asks for it computes with `exact_float32`.

        Raises:
            ValueError: No such device on this machine.
        """
        exact_float32()
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device '{self.device}' cannot be used here: {str(error).splitlines()[0]}") from error
        return torch.device(self.device)

    @property
    def device_name(self) -> str:
        """Product name of a GPU; `cpu` otherwise."""
        device = self.torch_device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

    @property
    def memory_format(self) -> torch.memory_format:
        """The memory order as PyTorch names it."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, in the memory order and in evaluation mode."""
        return network.to(self.torch_device).to(memory_format=self.memory_format).eval()

    def inputs(
        self,
        preprocessing: Preprocessing,
        images: torch.Tensor,
        normalised: bool = False,
        room: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What enters the network for one batch: normalised, on the device, in the memory order.

        Args:
            preprocessing: Of the network's weights.
            images: (N, 3, H, W); see `Preprocessing.normalise`.
            normalised: Whether the images are network input already.
            room: See `Preprocessing.normalise`.
        """
        moved = images.to(self.torch_device, non_blocking=True).contiguous(memory_format=self.memory_format)
        return moved if normalised else preprocessing.normalise(moved, room)

    def refuse_missing_tf32(self) -> None:
        """Refuse a precision that the device does not have: what was made would not be what its record says.

        Raises:
            ValueError: TF32 is asked for where there is none.
        """
        device = self.torch_device
        if self.precision != "tf32":
            return
        if device.type != "cuda" or torch.cuda.get_device_capability(device) < TF32_CAPABILITY:
            raise ValueError(
                f"precision tf32 is one of NVIDIA's GPUs, from compute capability 8.0 on; {self.device_name} has none. "
                "Take precision float32, or bf16"
            )

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """The context in which anything computes on the device: in the precision that is asked for."""
        device = self.torch_device
        mixed = torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with products(device, tf32=self.precision == "tf32"), mixed:
            yield
