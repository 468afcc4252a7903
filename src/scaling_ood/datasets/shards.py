"""Tensors in safetensors files, one file a shard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from scaling_ood.datasets.planned import PlannedDataset, StoredParts

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class StoredShards(StoredParts[Tensors]):
    """Stored tensors."""

    def read(self, name: str) -> Tensors:
        """All tensors of one shard.

        Raises:
            DamagedPartError: The file is missing or its checksum differs from the recorded one.
        """
        return load_file(self.check(name, self.folder / f"{name}.safetensors"))


class ShardsDataset(PlannedDataset[Tensors]):
    """One safetensors file per part of a plan.

    YAML:
        ```yaml
        multi_class.outputs:
          type: scaling_ood.datasets.ShardsDataset
          filepath: data/07_model_output/outputs
        ```

    Python:
        >>> import tempfile
        >>> from scaling_ood.plans import Part, Plan
        >>> parts = [Part("a", 2), Part("b", 1)]
        >>> plan = Plan("key", parts, lambda missing: ((p.name, {"x": torch.ones(p.items)}) for p in missing))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     dataset = ShardsDataset(filepath=folder)
        ...     dataset.save(plan)
        ...     dataset.load().read("a")["x"].tolist()
        [1.0, 1.0]
    """

    def load(self) -> StoredShards:
        """The finished shards; none is read yet."""
        stored = super().load()
        assert isinstance(stored, StoredShards)
        return stored

    def _stored(self, key: str, about: Mapping[str, Any], parts: Mapping[str, Any]) -> StoredShards:
        return StoredShards(key, about, parts, self._folder)

    def _place(self, name: str) -> Path:
        return Path(f"{name}.safetensors")

    def _write(self, place: Path, product: Tensors) -> None:
        save_file({name: tensor.contiguous() for name, tensor in product.items()}, place)
