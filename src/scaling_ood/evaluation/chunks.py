"""Stored outputs, read back as what detectors take: chunk by chunk, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scaling_ood.detectors import LinearHead, Need, Outputs, field_of
from scaling_ood.evaluation.passes import HEADS, image_set_of
from scaling_ood.images import RecordedFile
from scaling_ood.images.recorded import LABEL
from scaling_ood.images.scenes import LabelMap, read_labels
from scaling_ood.models.upsampling import rows_of
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredShards, Tensors

_CPU = torch.device("cpu")

_STRIP = 1 << 18
"""Numbers of a strip of up-sampled maps: 1 MB, which stays in the second cache of a processor's core."""


def seed_name(seed: int) -> str:
    """Name of the network of one seed.

    >>> seed_name(2)
    'seed2'
    """
    return f"seed{seed}"


def seed_of(network: str) -> int:
    """The seed of a network.

    >>> seed_of("seed2")
    2
    """
    return int(network.removeprefix("seed"))


def shards_of(outputs: StoredShards, image_set: str) -> list[str]:
    """The shards of an image set, in the order of the manifest."""
    return [name for name in outputs.parts if name != HEADS and image_set_of(name) == image_set]


@dataclass(frozen=True)
class ImageOutputs:
    """One network's outputs for one set of whole images, a chunk per shard; see `OutputsView`.

    Attributes:
        shards: All outputs.
        image_set: Which images.
        network: Of which seed.
        needs: What is read of them.
        class_groups: (C,) group of each class, where classes have groups.
        targets: (N,) class of each image, where that is known.
        class_names: Of the network's classes.
        device: Where chunks go when they are read, and what is known beside them: the one place that says where
            detectors fit and score.
    """

    shards: StoredShards
    image_set: str
    network: str
    needs: Collection[str | Need] = ("logits",)
    class_groups: torch.Tensor | None = None
    targets: torch.Tensor | None = None
    class_names: Sequence[str] | None = None
    device: torch.device = _CPU

    def on(self, device: torch.device) -> ImageOutputs:
        """The same, read to a device."""
        groups, targets = (None if each is None else each.to(device) for each in (self.class_groups, self.targets))
        return replace(self, device=device, class_groups=groups, targets=targets)

    @property
    def head(self) -> LinearHead | None:
        """The network's last layer, where it is stored."""
        stored = self.shards.read(HEADS) if HEADS in self.shards.parts else {}
        if f"{self.network}/weight" not in stored:
            return None
        weight, bias = (stored[f"{self.network}/{each}"].to(self.device) for each in ("weight", "bias"))
        return LinearHead(weight, bias)

    @property
    def names(self) -> list[str]:
        """The shards of the image set, one chunk each."""
        return shards_of(self.shards, self.image_set)

    def __iter__(self) -> Iterator[Outputs]:
        """Chunks in the order of the manifest."""
        return map(self.chunk, self.names)

    def chunk(self, name: str) -> Outputs:
        """That of one shard."""
        tensors = self.shards.read(name)
        fields = {field_of(need): tensors[f"{self.network}/{field_of(need)}"] for need in self.needs}
        return Outputs(**{name: each.to(self.device).float() for name, each in fields.items()})

    def logits(self) -> torch.Tensor:
        """(N, C), all of them."""
        return torch.cat([chunk.logits for chunk in self])


@dataclass(frozen=True)
class StoredScene:
    """One scene's outputs as they were stored, and what its pixels show.

    Attributes:
        row: Its row of the manifest.
        train_ids: (H, W) with `ANOMALY` and `VOID`, of the label image's own size.
        stored: `<network>/<field>/<scale>` to a tensor (1, ...) on that scale's own grid.
    """

    row: pd.Series[Any]
    train_ids: NDArray[Any]
    stored: Mapping[str, torch.Tensor]

    def outputs(
        self, network: str, needs: Collection[str | Need] = ("logits",), device: torch.device = _CPU
    ) -> Outputs:
        """One network's outputs (1, ..., H, W) at the size of the label image.

        Each scale is up-sampled as the network would, and the scales are averaged: logits, not probabilities.
        """
        strips = [strip for _, strip in self.strips(network, needs, device)]
        return Outputs(**{name: torch.cat([strip[name] for strip in strips], dim=-2) for name in strips[0].fields})

    def strips(
        self,
        network: str,
        needs: Collection[str | Need],
        device: torch.device = _CPU,
        wanted: NDArray[np.bool_] | None = None,
    ) -> Iterator[tuple[slice, Outputs]]:
        """The same in strips of rows, (1, ..., rows, W), with the rows of each; one at a time is in memory.

        On a processor a strip fits in the cache, elsewhere it is the whole scene. Where strips begin follows from the
        scene and the needs alone, so that a pixel has the same outputs bit by bit whatever is wanted.

        Args:
            network: Of which seed.
            needs: What is read.
            device: Where outputs are up-sampled.
            wanted: (H, W) pixels; strips without any are left out.
        """
        (height, width), fields = self.train_ids.shape, [field_of(need) for need in needs]
        maps = {field: self._scales(f"{network}/{field}/", device) for field in fields}
        channels = sum(scales[0].shape[1] for scales, _ in maps.values())
        rows = max(1, _STRIP // (channels * width)) if device.type == "cpu" else height
        sources = {field: [rows_of(one, (height, width)) for one in scales] for field, (scales, _) in maps.items()}
        for first in range(0, height, rows):
            strip = slice(first, min(first + rows, height))
            if wanted is None or wanted[strip].any():
                means = {field: _mean([of(strip.start, strip.stop) for of in all_]) for field, all_ in sources.items()}
                yield strip, Outputs(**{field: mean[:, 0] if maps[field][1] else mean for field, mean in means.items()})

    def _scales(self, start: str, device: torch.device) -> tuple[list[torch.Tensor], bool]:
        """The maps (1, C, h, w) of each scale; and whether they were stored flat, (1, h, w)."""
        scales = [tensor.to(device) for name, tensor in self.stored.items() if name.startswith(start)]
        flat = scales[0].ndim == 3  # noqa: PLR2004
        return [maps[:, None] for maps in scales] if flat else scales, flat


def _mean(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    return reduce(add, maps) / len(maps) if len(maps) > 1 else maps[0]


def stored_scenes(
    outputs: StoredShards, manifest: Manifest, image_set: str, chosen: Collection[str] | None = None
) -> Iterator[StoredScene]:
    """Scenes of one set, one at a time, in the order of the manifest; shards without a chosen one are not read.

    Args:
        outputs: What was stored of them.
        manifest: All scenes.
        image_set: `validation` or `test`.
        chosen: Ids of those that are wanted; None for all.
    """
    for read in unread_scenes(outputs, manifest, image_set, chosen):
        yield read()


def unread_scenes(
    outputs: StoredShards, manifest: Manifest, image_set: str, chosen: Collection[str] | None = None
) -> Iterator[Callable[[], StoredScene]]:
    """The same scenes before their label images are read, so that threads can read them."""
    scenes = manifest.preparation.scenes
    assert scenes is not None
    labels_of, rows, start = scenes.label_map, manifest.of(image_set), 0
    for name in shards_of(outputs, image_set):
        mine = rows.iloc[start : start + int(outputs.parts[name]["items"])]
        start += len(mine)
        wanted = mine["id"].isin(mine["id"] if chosen is None else chosen).to_numpy()
        by_number: dict[int, Tensors] = {}
        for key, tensor in (outputs.read(name) if wanted.any() else {}).items():
            number, rest = key.split("/", 1)
            by_number.setdefault(int(number), {})[rest] = tensor
        files = manifest.files(mine, LABEL)
        for place in wanted.nonzero()[0].tolist():
            yield partial(_read, mine.iloc[place], labels_of, files[place], by_number[place])


def scenes_of(outputs: StoredShards, manifest: Manifest, shard: str) -> list[str]:
    """Ids of the scenes in a shard."""
    image_set = image_set_of(shard)
    shards = shards_of(outputs, image_set)
    before = shards[: shards.index(shard)]
    start = sum(int(outputs.parts[name]["items"]) for name in before)
    own = manifest.of(image_set)["id"].iloc[start : start + int(outputs.parts[shard]["items"])]
    ids: list[str] = own.tolist()
    return ids


def _read(row: pd.Series[Any], labels: LabelMap, file: RecordedFile, stored: Mapping[str, torch.Tensor]) -> StoredScene:
    return StoredScene(row, labels.apply(read_labels(file), file.path), stored)


@dataclass(frozen=True)
class SceneOutputs:
    """One network's outputs for the scenes of one set, one chunk a scene; see `OutputsView`.

    Attributes:
        shards: All outputs.
        manifest: All scenes.
        image_set: Which scenes.
        network: Of which seed.
        needs: What is read of them.
        class_names: Of the network's classes.
        device: Where they are up-sampled.
    """

    shards: StoredShards
    manifest: Manifest
    image_set: str
    network: str
    needs: Collection[str | Need] = ("logits",)
    class_names: Sequence[str] | None = None
    class_groups: torch.Tensor | None = None
    targets: torch.Tensor | None = None
    head: LinearHead | None = None
    device: torch.device = _CPU

    def on(self, device: torch.device) -> SceneOutputs:
        """The same, up-sampled on a device."""
        return replace(self, device=device)

    def __iter__(self) -> Iterator[Outputs]:
        """Scenes in the order of the manifest."""
        for scene in stored_scenes(self.shards, self.manifest, self.image_set):
            yield scene.outputs(self.network, self.needs, self.device)
