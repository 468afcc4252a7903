"""Tensors in safetensors files, one file a shard."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from scaling_ood.datasets.planned import PlannedDataset
from scaling_ood.products.stored import StoredShards, Tensors


class ShardsDataset(PlannedDataset[Tensors]):
    """One safetensors file per part of a plan.

    YAML:
        ```yaml
        "{setting}.{network}.outputs":
          type: scaling_ood.datasets.ShardsDataset
          filepath: data/07_model_output/outputs
        ```

    Python:
        >>> import tempfile
        >>> import torch
        >>> from scaling_ood.products.plans import Part, Plan
        >>> parts = [Part("a", 2), Part("b", 1)]
        >>> plan = Plan(parts, lambda missing: ((p.name, {"x": torch.ones(p.items)}) for p in missing))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     dataset = ShardsDataset(filepath=folder)
        ...     dataset.save(plan)
        ...     dataset.load().read("a")["x"].tolist()
        [1.0, 1.0]
    """

    def load(self) -> StoredShards:
        """The finished shards; none is read yet."""
        stored = super().load()
        return StoredShards(stored.origin, stored.about, stored.parts, stored.folder)

    def _place(self, name: str) -> Path:
        return Path(f"{name}.safetensors")

    def _write(self, place: Path, content: Tensors) -> None:
        save_file({name: tensor.contiguous() for name, tensor in content.items()}, place)
