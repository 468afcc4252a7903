"""Products as they are read back: content is read when it is asked for, and checked against its record then."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load, load_file

from scaling_ood.products.kept_files import damaged, is_intact, opened_intact
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class StoredParts:
    """A finished product of several parts.

    Attributes:
        origin: What it was made from.
        about: What a reader should know.
        parts: Part to its `items`, `sha256` and `seconds`.
        folder: Where it is.
    """

    origin: Origin
    about: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Any]]
    folder: Path

    def tells(self) -> Mapping[str, Any]:
        """What a reader should know."""
        return self.about

    @property
    def items(self) -> int:
        """Number of items (images) in all parts."""
        return sum(int(part["items"]) for part in self.parts.values())

    @property
    def items_per_second(self) -> float:
        """Throughput when the parts were made, of one process; several made that many times as much."""
        seconds = sum(float(part["seconds"]) for part in self.parts.values())
        return self.items / seconds if seconds else float("nan")

    def check(self, name: str, place: Path) -> Path:
        """The place of a part, after making sure that it holds what was written.

        Raises:
            DamagedPartError: It is missing or has another content.
        """
        part = self.parts[name]
        if not is_intact(place, part["sha256"], part.get("looks")):
            raise damaged(place)
        return place


@dataclass(frozen=True)
class StoredShards(StoredParts):
    """Stored tensors, a safetensors file a part."""

    def read(self, name: str) -> Tensors:
        """All tensors of one shard.

        Raises:
            DamagedPartError: The file is missing or its checksum differs from the recorded one.
        """
        return read_tensors(self.folder / f"{name}.safetensors", self.parts[name]["sha256"])

    def each(self, parts: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Some shards, one after the other; see `plans.Make`."""
        for part in parts:
            yield part.name, self.read(part.name)


@dataclass(frozen=True)
class HeldShards(StoredShards):
    """The same in memory.

    Attributes:
        shards: Part to its tensors.
    """

    shards: Mapping[str, Tensors]

    @classmethod
    def of(cls, plan: Plan[Tensors]) -> Self:
        """All parts of a plan, made now."""
        started = time.perf_counter()
        made = dict(plan.make(plan.parts))
        seconds = (time.perf_counter() - started) / max(1, len(made))
        parts = {part.name: {"items": part.items, "seconds": seconds} for part in plan.parts}
        return cls(plan.origin, plan.about, parts, Path(), made)

    def read(self, name: str) -> Tensors:
        """All tensors of one shard."""
        return self.shards[name]


@dataclass(frozen=True)
class StoredModel:
    """Finished networks of several seeds; their weights are read when asked for.

    Attributes:
        origin: What they were made from.
        about: What a reader should know.
        history: One row per network and epoch; empty where nothing was trained.
        path: Of the weights.
        sha256: Of that file.
    """

    origin: Origin
    about: Mapping[str, Any]
    history: list[dict[str, Any]]
    path: Path
    sha256: str

    def tells(self) -> Mapping[str, Any]:
        """What a reader should know."""
        return self.about

    def states(self) -> dict[str, Tensors]:
        """State dict of each network; empty for weights that are used as they are published.

        Raises:
            DamagedPartError: They are not those that the record vouches for.
        """
        states: dict[str, Tensors] = {}
        for name, tensor in read_tensors(self.path, self.sha256).items():
            variant, parameter = name.split("/", 1)
            states.setdefault(variant, {})[parameter] = tensor
        return states


@dataclass(frozen=True)
class ProvidedFile:
    """A file that a person provides, read where it lies.

    Attributes:
        path: Absolute.
        sha256: Of its content.
    """

    path: str
    sha256: str

    def what_matters(self) -> str:
        """Its content."""
        return self.sha256


def as_tensor(told: Mapping[str, Any]) -> torch.Tensor:
    """What a part tells beside its numbers, as bytes that can be stored with these.

    >>> told_by(as_tensor({"seconds": 0.1}))
    {'seconds': 0.1}
    """
    return torch.frombuffer(bytearray(json.dumps(told).encode()), dtype=torch.uint8)


def told_by(tensor: torch.Tensor) -> dict[str, Any]:
    """The same, read back."""
    told: dict[str, Any] = json.loads(bytes(tensor.tolist()))
    return told


def read_tensors(place: Path, sha256: object) -> Tensors:
    """All tensors of a safetensors file.

    Raises:
        DamagedPartError: It is missing, or its checksum differs.
    """
    opened = opened_intact(place, sha256)
    return load_file(opened) if isinstance(opened, Path) else load(opened.getvalue())
