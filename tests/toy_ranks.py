"""Two processes that train together: the test is the first of them, a process that it starts the second."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scene_toys import Rectangles
from torch import nn
from toy_networks import TOY, TOY_NETWORK
from toy_trainings import TRAININGS

from scaling_ood.models import ARCHITECTURES
from scaling_ood.models.segmentation import PSPNet, Ragged
from scaling_ood.training import ResumableState, ranks

_FOLLOW = "import toy_ranks; toy_ranks.follow()"


@contextmanager
def second_process() -> Iterator[subprocess.Popen[str]]:
    """Inside, this process is the first of two; what the other one says of an error is in its `stderr`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    given = {**os.environ, **place, "RANK": "1", "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", _FOLLOW], env=given, stderr=-1, text=True) as other:
        with mock.patch.dict(os.environ, {**place, "RANK": "0"}):
            ranks.join()
        try:
            yield other
            leave(done=other.poll() is None)
        finally:
            leave(done=False)
            other.kill()


def leave(done: bool) -> None:
    """Leave the second process, if there is one; it ends well where all is done."""
    if ranks.current().several:
        ranks.part(done)


def follow() -> None:
    """What the second process does."""
    torch.set_num_threads(1)
    ranks.join()
    ranks.follow()
    ranks.part()


def alone() -> Any:
    """A context in which this process trains by itself."""
    return mock.patch.object(ranks, "_present", [ranks.ALONE])


@dataclass(frozen=True)
class Mixed(Rectangles):
    """Scenes of two sizes."""

    def scene(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        """One scene."""
        return replace(self, size=(48, 64) if index % 3 else (72, 40)).as_rectangles(index)

    def as_rectangles(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        """One scene of the size that all have."""
        return super().scene(index)


@dataclass(frozen=True)
class ToyRun:
    """A training of `TRAININGS` that chance does the same to whatever the number of processes is.

    Attributes:
        name: Which.
        folder: For what it reads.
        batch_images: Of a step, if it is not the usual number.
        mixed: Whether its scenes have several sizes.
        epochs: How many it goes on for; None: to its end.
        fails: Number of the process that fails after an epoch.
    """

    name: str
    folder: Path
    batch_images: int | None = None
    mixed: bool = False
    epochs: int | None = None
    fails: int | None = None

    def __call__(self, state: ResumableState | None) -> Iterator[ResumableState]:
        """Go on after a state."""
        rank = ranks.current().share.rank
        own = self.folder / f"{self.name}-{rank}"
        own.mkdir(exist_ok=True)
        coins = mock.Mock(side_effect=lambda labels, *_: (labels % 2).float())
        with (
            mock.patch.dict(ARCHITECTURES, {"toy": TOY, "toy_network": TOY_NETWORK}),
            mock.patch("scaling_ood.training.confidence.toss", coins),
            mock.patch("scaling_ood.training.segmentation.toss", coins),
        ):
            lesson, build = TRAININGS[self.name](own)
            if self.batch_images:
                lesson = replace(lesson, recipe=replace(lesson.recipe, batch_images=self.batch_images))
            if self.mixed:
                lesson = replace(lesson, sets=replace(lesson.sets, train=Mixed(8)))
            builders = {"seed1": lambda: _exact(build(1))}
            for each in islice(lesson.train(builders, {"seed1": 1}, state), self.epochs):
                yield each
                if rank == self.fails:
                    raise ValueError("the disk is full")


def _exact(module: nn.Module) -> nn.Module:
    """Without dropout, and in double precision.

    Adam makes whole steps of gradients that are zero but for rounding: those of a bias that batch norm takes away.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0
        elif isinstance(part, PSPNet):
            part.dropout = 0.0
    module.double().register_forward_pre_hook(lambda _, inputs: tuple(_double(each) for each in inputs))
    return module


def _double(inputs: torch.Tensor | Ragged) -> torch.Tensor | Ragged:
    return inputs.map(torch.Tensor.double) if isinstance(inputs, Ragged) else inputs.double()
