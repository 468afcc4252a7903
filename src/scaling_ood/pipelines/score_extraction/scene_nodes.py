"""Nodes of score extraction for segmentation: logits at stride 8, once; what each detector learns from them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.detectors import Detector, NotApplicableError, Outputs, OutputsList, build_detector
from scaling_ood.detectors.background import Background
from scaling_ood.detectors.mc_dropout import posterior_variance
from scaling_ood.images import read_image
from scaling_ood.images.scenes import label_map, read_labels
from scaling_ood.metrics import ConfusionMatrix
from scaling_ood.models import Forward
from scaling_ood.models.segmentation import PSPNet, build_segmenter, upsample
from scaling_ood.parameters import IdentitySpec, RuntimeSpec
from scaling_ood.pipelines.extraction import image_set_of
from scaling_ood.pipelines.model_training.scene_nodes import NAME
from scaling_ood.pipelines.score_extraction.nodes import Detectors, WrongModelError, fields_for, refuse_unmade
from scaling_ood.plans import Part, Plan
from scaling_ood.preparation import refuse_stale, scores_key
from scaling_ood.scene_parameters import SceneExtractionSpec, SegmenterSpec
from scaling_ood.scene_preparation import ScenePreparation, scene_outputs_key, scene_preprocessing, segmenter_key
from scaling_ood.training.scenes import network_pixels

ROLES = ("validation", "test")
Tensors = dict[str, torch.Tensor]

SCENE_MADE = frozenset({"logits", "posterior_variance"})
"""Outputs that the forward pass over scenes can store."""


def plan_scene_outputs(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    extraction: SceneExtractionSpec,
    detectors: Detectors,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
) -> Plan[Tensors]:
    """Plan one forward pass per scene, which feeds every detector."""
    prepared = ScenePreparation.model_validate(preparation)
    refuse_stale(model, segmenter_key(prepared, spec), f"{identity.setting}.model")
    forward = Forward(runtime.device, extraction.precision, runtime.channels_last)
    fields = fields_for(detectors, SCENE_MADE)
    passes = _ScenePass(manifest, prepared, spec, extraction, forward, tuple(fields), runtime.workers)
    about = {
        "device": forward.device_name,
        "precision": extraction.precision,
        "stored": extraction.stored,
        "model": spec.architecture,
        "torch": torch.__version__,
    }
    key = scene_outputs_key(prepared, spec, extraction, fields)
    return Plan(key, passes.parts(), partial(passes.produce, model), about)


def check_segmentation(
    outputs: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    identity: IdentitySpec,
) -> dict[str, Any]:
    """Mean IoU and pixel accuracy on the validation scenes, and on the known pixels of the test scenes.

    Raises:
        WrongModelError: The validation mIoU falls short of the least that was asked for.
    """
    prepared = ScenePreparation.model_validate(preparation)
    quality: dict[str, Any] = {"least_miou": spec.least_miou, "images": prepared.images}
    for role in ROLES:
        confusion = ConfusionMatrix(len(prepared.classes))
        for scene in scenes(outputs, manifest, prepared, role):
            predicted = upsample(scene.outputs.logits, scene.train_ids.shape).argmax(dim=1)[0].numpy()
            confusion.add(predicted, scene.train_ids, scene.train_ids < len(prepared.classes))
        quality[role] = {"miou": confusion.mean_iou(), "pixel_accuracy": confusion.pixel_accuracy()}
    if quality["validation"]["miou"] < spec.least_miou:
        raise WrongModelError(
            f"{identity.setting}: mIoU {quality['validation']['miou']:.1%} on {prepared.images['validation']:,} "
            f"validation scenes is under the {spec.least_miou:.1%} that {spec.architecture} is known for "
            "(model.least_miou): check weights, preprocessing and the label map"
        )
    return quality


def fit_scene_detector(
    outputs: StoredShards,
    accuracy: dict[str, Any],  # noqa: ARG001 - no score before the model was checked
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    extraction: SceneExtractionSpec,
    detectors: Detectors,
    identity: IdentitySpec,
    options: dict[str, Any],
    detector: str,
) -> dict[str, Any]:
    """What a detector's scores will be made from; pixel scores are not stored but made when they are measured.

    Returns:
        `detector, options, key`, and `gap` with the reason where the method has no meaning on these scenes.
    """
    prepared = ScenePreparation.model_validate(preparation)
    key = scene_outputs_key(prepared, spec, extraction, fields_for(detectors, SCENE_MADE))
    refuse_stale(outputs, key, f"{identity.setting}.outputs")
    gap = ""
    try:
        build_scene_detector(detector, options, prepared)
    except NotApplicableError as reason:
        gap = f"not applicable: {reason}"
    return {"detector": detector, "options": options, "key": scores_key(key, detector, options), "gap": gap}


def build_scene_detector(name: str, options: dict[str, Any], prepared: ScenePreparation) -> Detector:
    """A detector for pixels.

    Raises:
        NotApplicableError: It reads whole images only, or needs a background class that there is not.
    """
    built = build_detector(name, **options)
    if not built.dense:
        raise NotApplicableError("the method is defined for whole images, not for pixels")
    background = {"unlabeled", "other", "background"}
    refuse_unmade(built, SCENE_MADE)
    built.fit(OutputsList([]))  # none of them learns anything; those that need more than pixels say so
    own = built.class_index if isinstance(built, Background) else None
    if isinstance(built, Background) and (own is None or prepared.classes[own] not in background):
        raise NotApplicableError(f"there is no background class (the classes: {', '.join(prepared.classes)})")
    return built


@dataclass(frozen=True)
class StoredScene:
    """One scene's outputs at stride 8, and what its pixels show.

    Attributes:
        row: Its row of the manifest.
        outputs: Fields of one image, (1, C, h, w).
        train_ids: (H, W) with `ANOMALY` and `VOID`, of the label image's own size.
    """

    row: pd.Series[Any]
    outputs: Outputs
    train_ids: Any


def scenes(
    outputs: StoredShards, manifest: pd.DataFrame, prepared: ScenePreparation, role: str
) -> Iterator[StoredScene]:
    """The scenes of one role, one at a time, in the order of the manifest."""
    rows = manifest[manifest["image_set"] == role].reset_index(drop=True)
    labels = label_map(prepared.labels)
    shards = [name for name in outputs.parts if image_set_of(name) == role]
    position = 0
    for name in shards:
        tensors = outputs.read(name)
        for number in range(int(outputs.parts[name]["items"])):
            row = rows.iloc[position]
            mine = {key: value for key, value in tensors.items() if key.startswith(f"{number:05d}/")}
            fields = {key.split("/")[1]: value for key, value in mine.items()}
            path = f"{prepared.folder}/{row['label_path']}"
            yield StoredScene(row, Outputs(**fields), labels.apply(read_labels(path), path))
            position += 1


@dataclass(frozen=True)
class _Pixels(Dataset[torch.Tensor]):
    paths: Sequence[str]
    edge: int | None
    longest: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return network_pixels(read_image(self.paths[index]), self.edge, self.longest)


@dataclass(frozen=True)
class _ScenePass:
    """One pass of a segmenter over validation and test scenes, in shards."""

    manifest: pd.DataFrame
    prepared: ScenePreparation
    spec: SegmenterSpec
    extraction: SceneExtractionSpec
    forward: Forward
    fields: tuple[str, ...]
    workers: int

    def parts(self) -> list[Part]:
        size = self.extraction.shard_images
        return [
            Part(f"{role}-{number:05d}", min(size, self.prepared.images[role] - start))
            for role in ROLES
            for number, start in enumerate(range(0, self.prepared.images[role], size))
        ]

    def produce(self, model: StoredModel, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Fields of each scene of a shard: `<number>/<field>`."""
        classes = len(self.prepared.classes)
        network = build_segmenter(
            self.spec.architecture, classes, pretrained=False, width=self.spec.width, dropout=self.spec.dropout
        )
        network.load_state_dict(model.states()[f"{NAME}.best"])
        self.forward.place(network)
        paths = {part.name: self._paths(part) for part in missing}
        pixels = _Pixels(
            [path for part in paths.values() for path in part], self.spec.test_edge, self.spec.longest_edge
        )
        loader = iter(DataLoader(pixels, batch_size=None, num_workers=min(self.workers, len(pixels))))
        for part in missing:
            tensors: Tensors = {}
            for number in range(part.items):
                scene = self._scene(network, next(loader), paths[part.name][number])
                tensors |= {f"{number:05d}/{field}": value for field, value in scene.items()}
            yield part.name, tensors

    def _paths(self, part: Part) -> list[str]:
        rows = self.manifest[self.manifest["image_set"] == image_set_of(part.name)]
        start = int(part.name.rsplit("-", 1)[1]) * self.extraction.shard_images
        return [f"{self.prepared.folder}/{path}" for path in rows["path"].iloc[start : start + part.items]]

    @torch.inference_mode()
    def _scene(self, network: PSPNet, pixels: torch.Tensor, path: str) -> Tensors:
        device = self.forward.torch_device
        stored = getattr(torch, self.extraction.stored)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.extraction.precision == "bf16"):
            images = scene_preprocessing(self.spec).normalise(pixels[None].to(device))
            features = network.encode(images).features
            found = {"logits": network.classify(features).to(stored).cpu()}  # (1, C, h, w)
            if "posterior_variance" in self.fields:
                # Masks depend on the scene's name alone, so that shards and batches do not change them.
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    torch.manual_seed(zlib.crc32(path.removeprefix(self.prepared.folder).encode()))
                    passes = (network.classify(features, dropout=True) for _ in range(self.extraction.dropout_passes))
                    found["posterior_variance"] = posterior_variance(passes).float().cpu()  # (1, h, w)
        return found
