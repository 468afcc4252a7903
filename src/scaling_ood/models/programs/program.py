"""What is known of a network that a file holds as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from scaling_ood.models.backbone import EVERYTHING, Architecture
from scaling_ood.models.files import digest_of_files

COLOURS = 3


class ProgramError(ValueError):
    """A file holds no network that can be taken; says why, and what can."""


@dataclass(frozen=True)
class Program:
    """A network out of a file.

    Attributes:
        network: Images (N, 3, H, W) to features (N, D), or without a head to logits, (N, C) or (N, C, h, w).
        head: The last linear layer, where it was found.
        classes: Number of classes C.
        size: (H, W) of the only images that it takes; None where it takes any.
        words: What it is.
        beside: Further files that hold some of its weights.
    """

    network: nn.Module
    head: nn.Linear | None
    classes: int
    size: tuple[int, int] | None
    words: str
    beside: tuple[Path, ...] = ()


class FixedBatch(nn.Module):
    """A network that takes so many images at a time, as one that takes any number; the last batch is filled up."""

    def __init__(self, network: nn.Module, images: int) -> None:
        """Set how many images the network takes."""
        super().__init__()
        self.network, self.images = network, images
        self.runs_backwards = getattr(network, "runs_backwards", True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the network gives for each image."""
        parts = []
        for batch in torch.split(images, self.images):
            lacking = self.images - len(batch)
            whole = torch.cat([batch, batch[-1:].expand(lacking, *batch.shape[1:])]) if lacking else batch
            parts.append(self.network(whole)[: len(batch)])
        return torch.cat(parts)


def file_of(name: str, prefix: str) -> Path:
    """The file that a name means.

    Raises:
        ProgramError: There is none.
    """
    path = Path(name.removeprefix(prefix)).expanduser()
    if not path.is_file():
        raise ProgramError(f"'{name}': there is no file {path}" + (": it is a folder" if path.is_dir() else ""))
    return path


def architecture_of(name: str, prefix: str, read: Callable[[Path], Program]) -> Architecture:
    """The classifier that a file holds.

    Args:
        name: With the prefix of its source.
        prefix: That.
        read: Of its kind of file.

    Raises:
        ProgramError: The file is not there, cannot be taken, or holds no classifier of square images.
    """
    path = file_of(name, prefix)
    program = read_program(read, path)
    digest = digest_of_files([path, *program.beside])
    if program.size is not None and program.size[0] != program.size[1]:
        raise ProgramError(
            f"'{name}' takes images of {program.size[0]} x {program.size[1]} pixels, which are no square"
        )
    gives = EVERYTHING if program.head else EVERYTHING - {"features"}
    backwards = getattr(program.network, "runs_backwards", True)
    return Architecture(
        lambda _: (program.network, program.head),
        features=program.head.in_features if program.head else program.classes,
        preprocessing=None,
        fixed_size=program.size is not None,
        input_px=program.size[0] if program.size else None,
        classes=program.classes,
        weights=f"{program.words} {path.name} ({digest})",
        weights_digest=digest,
        weights_file=path.name,
        gives=gives if backwards else gives - {"gradients"},
        program=True,
        identity=f"{prefix}{digest}",
        files=(path, *program.beside),
    )


def read_program(read: Callable[[Path], Program], path: Path) -> Program:
    """The network of a file, read once while it does not change.

    Raises:
        ProgramError: It cannot be taken; begins with its name.
    """
    return _read(read, path, digest_of_files([path]))


@lru_cache(maxsize=4)
def _read(read: Callable[[Path], Program], path: Path, _digest: str) -> Program:
    try:
        return read(path)
    except ProgramError as error:
        raise ProgramError(f"{path.name}: {error}") from error
