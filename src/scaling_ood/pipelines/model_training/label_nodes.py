"""Nodes of model training for multi-label images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import nn

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.images import recorded_files
from scaling_ood.images.multi_label import targets
from scaling_ood.label_preparation import TRAINED_ON, label_features_key, label_model_key, label_preprocessing
from scaling_ood.models import Forward, architecture, build_multilabel, build_multilabel_head
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.multi_label import MultiLabelModelSpec
from scaling_ood.pipelines.extraction import Tensors, image_set_of, loading_of
from scaling_ood.pipelines.model_training.features import plan_features
from scaling_ood.pipelines.model_training.runs import training_record
from scaling_ood.plans import Plan, TrainingPlan
from scaling_ood.preparation import Preparation, refuse_stale
from scaling_ood.records import RunRecord
from scaling_ood.training.multilabel import MultiLabelRecipe, train_multilabel
from scaling_ood.training.multilabel_sets import LabelledFeatures, LabelledPhotographs, MultiLabelSets
from scaling_ood.training.resumable import ResumableState


def plan_label_features(
    manifest: pd.DataFrame, preparation: dict[str, Any], model: MultiLabelModelSpec, runtime: RuntimeSpec
) -> Plan[Tensors]:
    """Plan the frozen backbone's features of the images that heads are trained and chosen on."""
    prepared = Preparation.model_validate(preparation)
    key, transform = label_features_key(prepared, model), label_preprocessing(model, prepared)
    return plan_features(key, manifest, prepared, transform, model.architecture, runtime, TRAINED_ON)


def train_label_heads(
    features: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    model: MultiLabelModelSpec,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
) -> TrainingPlan:
    """Plan the training of heads on cached features."""
    prepared = Preparation.model_validate(preparation)
    refuse_stale(features, label_features_key(prepared, model), f"{identity.setting}.training_features")

    def images(image_set: str) -> LabelledFeatures:
        shards = [name for name in features.parts if image_set_of(name) == image_set]
        blocks = [features.read(name)["features/features"] for name in shards]
        return LabelledFeatures(torch.cat(blocks), _targets(manifest, prepared, image_set))

    return _plan(prepared, model, runtime, images, build_multilabel_head)


def train_label_networks(
    manifest: pd.DataFrame, preparation: dict[str, Any], model: MultiLabelModelSpec, runtime: RuntimeSpec
) -> TrainingPlan:
    """Plan the training of whole networks."""
    prepared = Preparation.model_validate(preparation)

    def images(image_set: str) -> LabelledPhotographs:
        rows = manifest[manifest["image_set"] == image_set]
        files = recorded_files(rows, rows["data_set"].map(prepared.folders))
        labels = _targets(manifest, prepared, image_set)
        return LabelledPhotographs(files, labels, label_preprocessing(model, prepared), loading=loading_of(runtime))

    return _plan(prepared, model, runtime, images, partial(build_multilabel, pretrained=True))


def record_label_training(
    model: StoredModel, preparation: dict[str, Any], spec: MultiLabelModelSpec, identity: IdentitySpec
) -> RunRecord:
    """What the tracked training run shows: one curve per seed and quantity."""
    prepared = Preparation.model_validate(preparation)
    refuse_stale(model, label_model_key(prepared, spec), f"{identity.setting}.model")
    return training_record(model, spec.architecture, identity, quality="validation_map")


def _plan(
    prepared: Preparation,
    spec: MultiLabelModelSpec,
    runtime: RuntimeSpec,
    images: Callable[[str], LabelledFeatures | LabelledPhotographs],
    build: Callable[..., nn.Module],
) -> TrainingPlan:
    variants = prepared.variants(spec)
    device = Forward(runtime.device).torch_device
    recipe = MultiLabelRecipe(
        spec.epochs,
        spec.batch_images,
        learning_rate=spec.learning_rate,
        backbone_learning_rate=spec.backbone_learning_rate,
        averaging=spec.averaging,
        best_epoch=spec.best_epoch,
        precision=spec.precision,
    )
    make = partial(build, spec.architecture, width=spec.width, dropout=spec.dropout)
    builders = {variant.name: partial(make, variant.classes, seed=variant.seed) for variant in variants}
    seeds = {variant.name: variant.seed for variant in variants}

    def run(state: ResumableState | None) -> Iterator[ResumableState]:
        sets = MultiLabelSets(*(images(image_set) for image_set in TRAINED_ON))
        yield from train_multilabel(builders, sets, seeds, recipe, device, state)

    return TrainingPlan(label_model_key(prepared, spec), spec.epochs * len(variants), run, _about(spec, prepared))


def _targets(manifest: pd.DataFrame, prepared: Preparation, image_set: str) -> torch.Tensor:
    rows = manifest[manifest["image_set"] == image_set]
    return torch.from_numpy(targets(rows, prepared.classes))


def _about(spec: MultiLabelModelSpec, prepared: Preparation) -> Mapping[str, Any]:
    preprocessing = label_preprocessing(spec, prepared)
    return {
        **{name: value for name, value in spec.model_dump(mode="json").items() if not isinstance(value, list)},
        "seeds": ",".join(map(str, spec.seeds)),
        "weights": architecture(spec.architecture).weights,
        "classes": len(prepared.classes),
        **{f"preprocessing.{name}": str(value) for name, value in vars(preprocessing).items()},
        "train_images": prepared.images["train"],
        "validation_images": prepared.images["fit"],
    }
