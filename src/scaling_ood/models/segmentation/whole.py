"""Segmenters of other libraries and of files, which are run as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from scaling_ood.models.backbone import Registered
from scaling_ood.models.checkpoints import Checkpoint, State, fitting_state
from scaling_ood.models.network import Network

_TRIAL_PX = 64
_MAPS = 4


def _call(network: nn.Module, images: torch.Tensor) -> Any:
    return network(images)


@dataclass(frozen=True)
class WholeSegmenter(Registered):
    """A segmenter that is not trained here.

    Attributes:
        build: `(classes, pretrained) -> network`, as its library has it.
        run: `(network, images) -> logits` (N, C, h, w) at any stride.
        classes: Number of classes of the published head; 0 without one.
        multiple: Sides of images are multiples of it.
        size: (H, W) of the only images that it takes.
        unread: Beginnings of names in its files that are for its training alone.
    """

    build: Callable[[int, bool], nn.Module]
    run: Callable[[nn.Module, torch.Tensor], Any] = _call
    classes: int = 0
    multiple: int = 32
    size: tuple[int, int] | None = None
    unread: tuple[str, ...] = ()


class RunAsItIs(Network):
    """Such a network, as all networks are here."""

    def __init__(self, registered: WholeSegmenter, network: nn.Module, order: Sequence[int] = ()) -> None:
        """Take over the library's network; see `order` in `in_order`."""
        super().__init__()
        self.network, self.run = network, registered.run
        self.gives = registered.gives - {"features"}
        self.order = list(order)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """The logits already: nobody knows what lies before them.

        Raises:
            ValueError: It makes no maps of logits.
        """
        logits = self.run(self.network, inputs)
        if not (isinstance(logits, torch.Tensor) and logits.ndim == _MAPS):
            found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise ValueError(f"the segmenter gives {found}, not logits (N, C, h, w)")
        return logits

    def decode(self, encoded: torch.Tensor) -> dict[str, torch.Tensor]:
        """`logits` (N, C, h, w), in the order of the data set's classes."""
        return {"logits": encoded[:, self.order] if self.order else encoded}

    def in_order(self, order: Sequence[int]) -> RunAsItIs:
        """The same with its outputs in another order: which of them each class is."""
        self.order = list(order)
        return self

    def adopted(self, registered: WholeSegmenter, checkpoint: Checkpoint) -> State:
        """State dict of this with the weights of a file, whose names are those of the library.

        Raises:
            CheckpointError: They do not fit.
        """
        read = {name: each for name, each in checkpoint.state.items() if not name.startswith(registered.unread)}
        last = [name for name, module in self.network.named_modules() if isinstance(module, nn.Conv2d)][-1:]
        given = Checkpoint(checkpoint.name, checkpoint.sha256, read)
        fitting = fitting_state(self.network, given, head="".join(last))
        return {f"network.{name}": tensor for name, tensor in fitting.items()}


def stride_of(network: RunAsItIs) -> int:
    """At which stride it gives its logits, found by trying; 1 where a small image is none that it takes."""
    training = network.training
    try:
        with torch.inference_mode():
            maps = network.eval().encode(torch.zeros(1, 3, _TRIAL_PX, _TRIAL_PX))
    except Exception:
        return 1
    finally:
        network.train(training)
    return max(1, _TRIAL_PX // maps.shape[2])
