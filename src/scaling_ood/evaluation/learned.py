"""What a detector learns from, as tensors to be taken elsewhere, and back as a view that it is fitted on.

A detector is fitted anew from exactly what it was fitted on, in the same chunks. So any detector can be taken along,
whatever it is made of, and nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
import torch

from scaling_ood.detectors import Detector, LinearHead, Outputs, OutputsView, field_of
from scaling_ood.evaluation.chunks import SceneOutputs, StoredScene, stored_scenes
from scaling_ood.products.stored import Tensors

_SIZE = "size"
_NETWORK = "network"
_KNOWN = ("targets", "class_groups")


def learned_of(detector: Detector, view: OutputsView) -> Tensors:
    """All that a detector may learn from, by names that `learned_view` knows.

    Args:
        detector: One that passes over no image takes none along.
        view: What it is fitted on.
    """
    kept: Tensors = {}
    if detector.learns:
        kept = _scenes(view) if isinstance(view, SceneOutputs) else _chunks(view)
    known = {name: getattr(view, name) for name in _KNOWN}
    head = view.head
    known |= {} if head is None else {f"head.{kind}": tensor for kind, tensor in head._asdict().items()}
    return {**kept, **{name: tensor for name, tensor in known.items() if tensor is not None}}


def learned_view(detector: Detector, tensors: Mapping[str, torch.Tensor], class_names: Sequence[str]) -> LearnedView:
    """What a detector is fitted on, from what `learned_of` kept."""
    head = {kind: tensors[f"head.{kind}"] for kind in LinearHead._fields if f"head.{kind}" in tensors}
    return LearnedView(
        detector,
        {name: tensor for name, tensor in tensors.items() if "/" in name},
        tensors.get("class_groups"),
        tensors.get("targets"),
        LinearHead(**head) if head else None,
        class_names,
    )


def scene_of(stored: Mapping[str, torch.Tensor], size: Sequence[int]) -> StoredScene:
    """A scene of that size (H, W) whose outputs are known as `<network>/<field>/<scale>`, and nothing else."""
    return StoredScene(pd.Series(dtype=object), np.broadcast_to(np.uint8(0), tuple(size)), stored)


@dataclass(frozen=True)
class LearnedView:
    """Chunks as they were; see `OutputsView`. Scenes are up-sampled one at a time.

    Attributes:
        detector: Which reads them.
        tensors: `<number>/<field>`; or of scenes `<number>/<field>/<scale>`, and `<number>/size`.
        class_groups: (C,), where classes have groups.
        targets: (N,), where they are known.
        head: The network's last layer, where it is known.
        class_names: Of the network's classes.
    """

    detector: Detector
    tensors: Mapping[str, torch.Tensor]
    class_groups: torch.Tensor | None
    targets: torch.Tensor | None
    head: LinearHead | None
    class_names: Sequence[str]

    def __iter__(self) -> Iterator[Outputs]:
        """Chunks in their order."""
        for _, names in groupby(sorted(self.tensors), lambda name: name.split("/", 1)[0]):
            chunk = {name.split("/", 1)[1]: self.tensors[name] for name in names}
            size = chunk.pop(_SIZE, None)
            if size is None:
                yield Outputs(**chunk)
            else:
                stored = {f"{_NETWORK}/{name}": tensor for name, tensor in chunk.items()}
                yield scene_of(stored, size.tolist()).outputs(_NETWORK, self.detector.needs)


def _chunks(view: OutputsView) -> Tensors:
    return {f"{number:05d}/{field}": each for number, chunk in enumerate(view) for field, each in chunk.fields.items()}


def _scenes(view: SceneOutputs) -> Tensors:
    kept: Tensors = {}
    for number, scene in enumerate(stored_scenes(view.shards, view.manifest, view.image_set)):
        kept[f"{number:05d}/{_SIZE}"] = torch.tensor(scene.train_ids.shape)
        for field in map(field_of, view.needs):
            own = f"{view.network}/{field}/"
            maps = {name: each for name, each in scene.stored.items() if name.startswith(own)}
            kept |= {f"{number:05d}/{name.removeprefix(f'{view.network}/')}": each for name, each in maps.items()}
    return kept
