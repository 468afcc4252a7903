"""Nodes of model training for segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from scaling_ood.datasets import StoredModel
from scaling_ood.images.scenes import label_map
from scaling_ood.models import Forward
from scaling_ood.models.segmentation import build_segmenter, segmenter
from scaling_ood.parameters import IdentitySpec, RuntimeSpec
from scaling_ood.plans import TrainingPlan
from scaling_ood.preparation import refuse_stale
from scaling_ood.records import RunRecord
from scaling_ood.scene_parameters import SegmenterSpec
from scaling_ood.scene_preparation import ScenePreparation, scene_preprocessing, segmenter_key
from scaling_ood.training.resumable import ResumableState
from scaling_ood.training.scenes import Augmentation, SceneFiles, SceneSets
from scaling_ood.training.segmentation import SegmentationRecipe, train_segmenters

NAME = "segmenter"
"""The one variant that is trained."""

_CURVES = ("train_loss", "train_accuracy", "learning_rate", "validation_miou", "validation_accuracy")


def train_segmenter(
    manifest: pd.DataFrame, preparation: dict[str, Any], model: SegmenterSpec, runtime: RuntimeSpec
) -> TrainingPlan:
    """Plan the training of the segmenter; the epoch with the best mIoU on the validation scenes is used."""
    prepared = ScenePreparation.model_validate(preparation)
    sets = SceneSets(
        _files(manifest, prepared, "train"),
        _files(manifest, prepared, "validation"),
        scene_preprocessing(model),
        Augmentation(model.short_edges, model.longest_edge),
        model.test_edge,
        runtime.workers,
    )
    recipe = SegmentationRecipe(
        model.epochs,
        model.batch_images,
        model.steps_per_epoch,
        learning_rate=model.learning_rate,
        weight_decay=model.weight_decay,
    )
    device = Forward(runtime.device).torch_device
    build = partial(
        build_segmenter,
        model.architecture,
        len(prepared.classes),
        pretrained=model.pretrained,
        seed=model.seed,
        width=model.width,
        dropout=model.dropout,
    )

    def run(state: ResumableState | None) -> Iterator[ResumableState]:
        yield from train_segmenters({NAME: build}, sets, {NAME: model.seed}, recipe, device, state)

    return TrainingPlan(segmenter_key(prepared, model), model.epochs, run, _about(model, prepared))


def record_segmenter(
    model: StoredModel, preparation: dict[str, Any], spec: SegmenterSpec, identity: IdentitySpec
) -> RunRecord:
    """What the tracked training run shows."""
    prepared, setting = ScenePreparation.model_validate(preparation), identity.setting
    refuse_stale(model, segmenter_key(prepared, spec), f"{setting}.model")
    curves = {name: [row[name] for row in model.history] for name in _CURVES}
    tags = {
        "kind": "training",
        "setting": setting,
        "benchmark": prepared.benchmark,
        "model": spec.architecture,
        "model_key": model.key,
    }
    best = max(row["validation_miou"] for row in model.history)
    seconds = sum(row["seconds"] for row in model.history)
    metrics = {"training_seconds": seconds, "best_validation_miou": best}
    return RunRecord(f"{setting}.training", tags, model.about, metrics, curves)


def _files(manifest: pd.DataFrame, prepared: ScenePreparation, role: str) -> SceneFiles:
    rows = manifest[manifest["image_set"] == role]
    images, labels = ([f"{prepared.folder}/{path}" for path in rows[column]] for column in ("path", "label_path"))
    return SceneFiles(images, labels, label_map(prepared.labels))


def _about(spec: SegmenterSpec, prepared: ScenePreparation) -> Mapping[str, Any]:
    preprocessing = scene_preprocessing(spec)
    weights = f"{segmenter(spec.architecture).weights}; encoder only" if spec.pretrained else "random initialisation"
    return {
        **{name: value for name, value in spec.model_dump(mode="json").items() if not isinstance(value, list)},
        "short_edges": ",".join(map(str, spec.short_edges)),
        "weights": weights,
        "classes": len(prepared.classes),
        "preprocessing.mean": str(preprocessing.mean),
        "preprocessing.std": str(preprocessing.std),
        "train_images": prepared.images["train"],
        "validation_images": prepared.images["validation"],
    }
