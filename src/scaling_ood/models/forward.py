"""Forward passes: device, precision and memory order in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from scaling_ood.images.transforms import Preprocessing


def exact_float32() -> None:
    """Make single precision mean single precision in this process, wherever a network is run or trained.

    PyTorch computes convolutions of float32 on recent GPUs with 10 bits of mantissa (TF32) unless it is told not to, so
    the same weights would give other scores on another GPU. It stays off: switching it back on between two passes would
    do so for a pass of another thread too.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


@dataclass(frozen=True)
class Forward:
    """How a network is run.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, `mps` or `auto`, which takes the GPU if there is one.
        precision: `float32`, which never is TF32, or `bf16` for automatic mixed precision.
        channels_last: Memory order of the convolutions.
    """

    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"
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

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, in the memory order and in evaluation mode."""
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        return network.to(self.torch_device).to(memory_format=order).eval()

    def inputs(self, preprocessing: Preprocessing, images: torch.Tensor, normalised: bool = False) -> torch.Tensor:
        """What enters the network for one batch: normalised, on the device, in the memory order.

        Args:
            preprocessing: Of the network's weights.
            images: (N, 3, H, W); see `Preprocessing.normalise`.
            normalised: Whether the images are network input already.
        """
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        moved = images.to(self.torch_device, non_blocking=True)
        return (moved if normalised else preprocessing.normalise(moved)).contiguous(memory_format=order)

    def arithmetic(self) -> torch.autocast:
        """The context in which the network computes: automatic mixed precision, where it is asked for."""
        return torch.autocast(self.torch_device.type, torch.bfloat16, enabled=self.precision == "bf16")
