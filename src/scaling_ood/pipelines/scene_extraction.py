"""Forward passes over scenes, and reading back what they left: one scene at a time, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.detectors import Outputs
from scaling_ood.detectors.mc_dropout import posterior_variance
from scaling_ood.images import Orientation, RecordedFile, read_image, recorded_files
from scaling_ood.images.recorded import LABEL
from scaling_ood.images.scenes import read_labels
from scaling_ood.models import Forward, OutputCheck
from scaling_ood.models.segmentation import (
    AUTOENCODER_PREPROCESSING,
    PSPNet,
    build_autoencoder,
    build_segmenter,
    reconstruction_error,
    upsample,
)
from scaling_ood.networks import AUTOENCODER, CONFIDENCE, network_words
from scaling_ood.parameters.segmentation import NetworksSpec, SceneExtractionSpec, SegmenterSpec
from scaling_ood.pipelines.extraction import Tensors, image_set_of
from scaling_ood.plans import Part
from scaling_ood.scene_preparation import (
    AUTOENCODER_NAME,
    ScenePreparation,
    autoencoder_edge,
    roles_of,
    scene_preprocessing,
    variant_of,
)
from scaling_ood.training.scenes import network_pixels


class ScenePass(Protocol):
    """What one network makes of one scene."""

    def __call__(self, pixels: torch.Tensor, seed: int) -> Tensors:
        """Fields (1, ...) of a scene.

        Args:
            pixels: (3, H, W), uint8, both sides multiples of 8.
            seed: Of what chance there is: it depends on the scene's name alone, so that shards do not change it.
        """
        ...


@dataclass(frozen=True)
class SegmenterPass:
    """Fields of a segmenter at stride 8.

    Attributes:
        network: Placed.
        spec: Whose preprocessing it wants.
        forward: Device and precision.
        fields: Which of `logits` (1, C, h, w), `posterior_variance` (1, h, w) and `confidence` (1, h, w) to keep.
        dropout_passes: For the variance.
    """

    network: PSPNet
    spec: SegmenterSpec
    forward: Forward
    fields: Collection[str]
    dropout_passes: int

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor, seed: int) -> Tensors:
        """Encoder and decoder once; only what lies behind the dropout is repeated."""
        device = self.forward.torch_device
        found: Tensors = {}
        with torch.autocast(device.type, torch.bfloat16, enabled=self.forward.precision == "bf16"):
            images = scene_preprocessing(self.spec).normalise(pixels[None].to(device))
            features = self.network.encode(images).features
            if "logits" in self.fields:
                found["logits"] = self.network.classify(features)
            if "confidence" in self.fields:
                found["confidence"] = self.network.confide(features)
            if "posterior_variance" in self.fields:
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    torch.manual_seed(seed)
                    passes = (self.network.classify(features, dropout=True) for _ in range(self.dropout_passes))
                    found["posterior_variance"] = posterior_variance(passes)
        return found


@dataclass(frozen=True)
class AutoencoderPass:
    """Reconstruction error (1, H, W) of each pixel of the network's input."""

    network: nn.Module
    networks: NetworksSpec
    forward: Forward

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor, seed: int) -> Tensors:  # noqa: ARG002 - nothing is left to chance
        """The error, in units of the normalised input."""
        device = self.forward.torch_device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.forward.precision == "bf16"):
            images = AUTOENCODER_PREPROCESSING.normalise(pixels[None].to(device))
            rebuilt = self.network(images)
        return {"reconstruction_error": reconstruction_error(images, rebuilt, self.networks.autoencoder.difference)}


@dataclass(frozen=True)
class SceneExtraction:
    """One pass of the networks of a kind, one per seed, over the scenes, in shards.

    Attributes:
        manifest: All scenes.
        prepared: Where they are.
        spec: The segmenter.
        networks: Networks of single detectors.
        extraction: What is stored.
        forward: Device and precision.
        kind: Which networks.
        fields: What to keep.
        workers: Processes that decode.
        setting: Whose pass it is, for messages.
    """

    manifest: pd.DataFrame
    prepared: ScenePreparation
    spec: SegmenterSpec
    networks: NetworksSpec
    extraction: SceneExtractionSpec
    forward: Forward
    kind: str
    fields: Collection[str]
    workers: int
    setting: str = ""

    def parts(self) -> list[Part]:
        """Shards such as `test-00003`, in the order of the manifest."""
        size, images = self.extraction.shard_images, self.prepared.images
        return [
            Part(f"{role}-{number:05d}", min(size, images[role] - start))
            for role in roles_of(self.prepared, self.kind)
            for number, start in enumerate(range(0, images[role], size))
        ]

    def produce(self, model: StoredModel, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Fields of each scene of the missing shards: `<number>/<variant>/<field>/<scale>`, on the CPU.

        Raises:
            NetworkOutputError: A network gives NaN for some scenes; no shard is stored that has one.
        """
        words = network_words(self.kind, AUTOENCODER_NAME if self.kind == AUTOENCODER else self.spec.architecture)
        check = OutputCheck(self.setting, words, self.forward.precision, self._type("logits"))
        passes = self._passes(model)
        files = {part.name: self._files(part) for part in missing}
        longest, orientation = self.spec.longest_edge, self.prepared.orientation
        scenes = _Pixels([file for part in files.values() for file in part], self.edges, longest, orientation)
        loader = iter(DataLoader(scenes, batch_size=None, num_workers=min(self.workers, len(scenes))))
        for part in missing:
            tensors: Tensors = {}
            faults: dict[str, list[torch.Tensor]] = {}
            for number, file in enumerate(files[part.name]):
                chance = zlib.crc32(file.path.removeprefix(self.prepared.folder).encode())
                for scale, pixels in enumerate(next(loader)):
                    for variant, network_pass in passes.items():
                        for field, value in network_pass(pixels, chance).items():
                            kept, found = check.keep(field, value, self._type(field))
                            tensors[f"{number:05d}/{variant}/{field}/{scale}"] = kept
                            faults.setdefault(f"{variant}/{field}/{scale}", []).append(found)
            names = [path.removeprefix(f"{self.prepared.folder}/") for path in (file.path for file in files[part.name])]
            check.refuse({name: torch.cat(found) for name, found in faults.items()}, names, image_set_of(part.name))
            yield part.name, tensors

    @property
    def edges(self) -> tuple[int | None, ...]:
        """Lengths of the shorter side, one for each pass over a scene; None: as it is."""
        if self.kind == AUTOENCODER:
            return (autoencoder_edge(self.spec, self.networks.autoencoder),)
        return self.extraction.scales or (self.spec.test_edge,)

    def _type(self, field: str) -> torch.dtype:
        # A variance is too small for half precision: everything under 6e-8 would be 0.
        stored = "float32" if field == "posterior_variance" else self.extraction.stored
        return getattr(torch, stored)  # type: ignore[no-any-return]

    def _files(self, part: Part) -> list[RecordedFile]:
        rows = self.manifest[self.manifest["image_set"] == image_set_of(part.name)]
        start = int(part.name.rsplit("-", 1)[1]) * self.extraction.shard_images
        return recorded_files(rows.iloc[start : start + part.items], self.prepared.folder)

    def _passes(self, model: StoredModel) -> dict[str, ScenePass]:
        states = model.states()
        build = self._autoencoder if self.kind == AUTOENCODER else self._segmenter
        return {variant_of(seed): build(states[f"{variant_of(seed)}.best"]) for seed in self.spec.seeds}

    def _segmenter(self, state: Mapping[str, torch.Tensor]) -> ScenePass:
        network = build_segmenter(
            self.spec.architecture,
            self.prepared.network_classes(self.spec),
            pretrained=False,
            width=self.spec.width,
            dropout=self.spec.dropout,
            confidence=self.kind == CONFIDENCE,
        )
        network.load_state_dict(state)
        self.forward.place(network)
        return SegmenterPass(network, self.spec, self.forward, self.fields, self.extraction.dropout_passes)

    def _autoencoder(self, state: Mapping[str, torch.Tensor]) -> ScenePass:
        own = self.networks.autoencoder
        network = build_autoencoder(skips=own.skips, dropout=own.dropout)
        network.load_state_dict(state)
        return AutoencoderPass(self.forward.place(network), self.networks, self.forward)


@dataclass(frozen=True)
class StoredScene:
    """One scene's outputs as they were stored, and what its pixels show.

    Attributes:
        row: Its row of the manifest.
        train_ids: (H, W) with `ANOMALY` and `VOID`, of the label image's own size.
        stored: `<variant>/<field>/<scale>` to a tensor (1, ...) on that scale's own grid.
    """

    row: pd.Series[Any]
    train_ids: NDArray[Any]
    stored: Mapping[str, torch.Tensor]

    def outputs(self, variant: str) -> Outputs:
        """One network's outputs (1, ..., H, W) at the size of the label image.

        Each scale is up-sampled exactly as the network would, and the scales are averaged: logits, not probabilities.
        """
        scales: dict[str, list[torch.Tensor]] = {}
        for name, tensor in self.stored.items():
            owner, field, _ = name.split("/")
            if owner == variant:
                scales.setdefault(field, []).append(tensor)
        fields = {field: self._joined(tensors) for field, tensors in scales.items()}
        logits = fields.pop("logits", torch.empty(1, 0, *self.train_ids.shape))
        return Outputs(logits, **fields)

    def _joined(self, scales: Sequence[torch.Tensor]) -> torch.Tensor:
        flat = scales[0].ndim == 3  # noqa: PLR2004 - (1, h, w), without channels
        total = torch.zeros(())
        for maps in scales:
            total = total + upsample(maps[:, None] if flat else maps, self.train_ids.shape)
        mean = total / len(scales)
        return mean[:, 0] if flat else mean


def stored_scenes(
    outputs: StoredShards,
    manifest: pd.DataFrame,
    prepared: ScenePreparation,
    role: str,
    chosen: Collection[str] | None = None,
) -> Iterator[StoredScene]:
    """Scenes of one role, one at a time, in the order of the manifest; shards without a chosen one are not read.

    Args:
        outputs: What was stored of them.
        manifest: All scenes.
        prepared: Where they are.
        role: `validation` or `test`.
        chosen: Ids of those that are wanted; None for all.
    """
    rows = manifest[manifest["image_set"] == role]
    start = 0
    for name in outputs.parts:
        if image_set_of(name) != role:
            continue
        mine = rows.iloc[start : start + int(outputs.parts[name]["items"])]
        start += len(mine)
        wanted = mine["id"].isin(mine["id"] if chosen is None else chosen).to_numpy()
        tensors = outputs.read(name) if wanted.any() else {}
        by_number: dict[int, Tensors] = {}
        for key, tensor in tensors.items():
            number, rest = key.split("/", 1)
            by_number.setdefault(int(number), {})[rest] = tensor
        labels = recorded_files(mine, prepared.folder, LABEL)
        for place in wanted.nonzero()[0].tolist():
            train_ids = prepared.label_map.apply(read_labels(labels[place]), labels[place].path)
            yield StoredScene(mine.iloc[place], train_ids, by_number[place])


@dataclass(frozen=True)
class _Pixels(Dataset[list[torch.Tensor]]):
    """Scenes as the network is tested on them, at each scale."""

    files: Sequence[RecordedFile]
    edges: Sequence[int | None]
    longest: int
    orientation: Orientation

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        image = read_image(self.files[index], self.orientation)
        return [network_pixels(image, edge, self.longest) for edge in self.edges]
