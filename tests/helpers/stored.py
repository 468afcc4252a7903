"""Stored outputs of whatever numbers a test wants."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from scaling_ood.products.kept_files import content_sum
from scaling_ood.products.keys import NOT_MADE
from scaling_ood.products.stored import StoredShards, Tensors

ABOUT: dict[str, Any] = {
    "model": "toy",
    "architecture": "toy",
    "weights": "made up",
    "seeds": [0],
    "targets": "classes",
    "input": "8 px",
    "device": "cpu",
    "precision": "float32",
    "stored": "float32",
    "torch": torch.__version__,
    "model_key": "k",
    "told": {},
}


def stored(folder: Path, shards: Mapping[str, tuple[int, Tensors]], seeds: tuple[int, ...] = (0,)) -> StoredShards:
    """Shards in a folder: name to number of items and tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {}
    for name, (items, tensors) in shards.items():
        place = folder / f"{name}.safetensors"
        save_file({field: tensor.contiguous() for field, tensor in tensors.items()}, place)
        parts[name] = {"items": items, "sha256": content_sum(place), "seconds": 1.0}
    return StoredShards(NOT_MADE, ABOUT | {"seeds": list(seeds)}, parts, folder)


def spoilt(outputs: StoredShards, folder: Path, shard: str, field: str, value: float, place: Any) -> StoredShards:
    """The same outputs as another version stored them, with some numbers of one shard replaced."""
    shards = {name: (int(part["items"]), outputs.read(name)) for name, part in outputs.parts.items()}
    shards[shard][1][field][place] = value
    made = stored(folder, shards)
    return replace(made, about=outputs.about)
