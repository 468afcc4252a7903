"""Nodes of model training for the networks that single detectors read, in the setting of whole images.

Seeds, epochs, optimiser, schedule and images are those of the classifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import nn

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.models import (
    CONFIDENCES,
    ROTATIONS,
    Variant,
    build_two_headed,
)
from scaling_ood.networks import CONFIDENCE, ROTATION
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.multi_class import ClassifierNetworksSpec, ModelSpec
from scaling_ood.pipelines.extraction import Tensors
from scaling_ood.pipelines.model_training.features import TurnedFeaturesOnly, plan_features, turn
from scaling_ood.pipelines.model_training.nodes import (
    about_model,
    cached_features,
    plan_training,
    training_images,
)
from scaling_ood.pipelines.model_training.runs import training_record
from scaling_ood.plans import Plan, TrainingPlan
from scaling_ood.preparation import Preparation, network_key, preprocessing_of, refuse_stale, turned_features_key
from scaling_ood.records import RunRecord
from scaling_ood.training import TrainingImages
from scaling_ood.training.confidence import Budget, ConfidenceObjective
from scaling_ood.training.rotation import RotationObjective, TurnedFeatures, TurnedImages


def train_confidence_heads(
    features: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    model: ModelSpec,
    networks: ClassifierNetworksSpec,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
) -> TrainingPlan:
    """Plan the training of a linear head and a confidence head on cached features."""
    prepared = Preparation.model_validate(preparation)
    images = cached_features(features, prepared, model, runtime, identity)
    return _confidence(manifest, prepared, model, networks, runtime, images)


def train_confidence_networks(
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    model: ModelSpec,
    networks: ClassifierNetworksSpec,
    runtime: RuntimeSpec,
) -> TrainingPlan:
    """Plan the training of whole networks with a confidence head."""
    prepared = Preparation.model_validate(preparation)
    images = training_images(manifest, prepared, model, runtime)
    return _confidence(manifest, prepared, model, networks, runtime, images)


def plan_turned_features(
    manifest: pd.DataFrame, preparation: dict[str, Any], model: ModelSpec, runtime: RuntimeSpec
) -> Plan[Tensors]:
    """Plan the frozen backbone's features of the training images, turned by 90, 180 and 270 degrees."""
    prepared = Preparation.model_validate(preparation)
    key, transform = turned_features_key(prepared, model), preprocessing_of(model, prepared)
    return plan_features(key, manifest, prepared, transform, model.architecture, runtime, form=TurnedFeaturesOnly)


def train_rotation_heads(
    features: StoredShards,
    turned_features: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    model: ModelSpec,
    networks: ClassifierNetworksSpec,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
) -> TrainingPlan:
    """Plan the training of a hidden layer with a head for the classes and one for the rotations, on cached features."""
    prepared = Preparation.model_validate(preparation)
    upright = cached_features(features, prepared, model, runtime, identity)
    refuse_stale(
        turned_features, turned_features_key(prepared, model), f"{identity.setting}.{ROTATION}.turned_features"
    )

    def images() -> TurnedFeatures:
        shards = [turned_features.read(name) for name in turned_features.parts]
        others = [torch.cat([shard[f"{turn(q)}/features"] for shard in shards]) for q in range(1, ROTATIONS)]
        first = upright()
        return TurnedFeatures(torch.stack([first.features, *others]), first.device)

    return _rotation(manifest, prepared, model, networks, runtime, images)


def train_rotation_networks(
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    model: ModelSpec,
    networks: ClassifierNetworksSpec,
    runtime: RuntimeSpec,
) -> TrainingPlan:
    """Plan the training of whole networks that also learn the rotations."""
    prepared = Preparation.model_validate(preparation)
    upright = training_images(manifest, prepared, model, runtime)
    return _rotation(manifest, prepared, model, networks, runtime, lambda: TurnedImages(upright()))


def record_network(
    model: StoredModel,
    preparation: dict[str, Any],
    spec: ModelSpec,
    networks: ClassifierNetworksSpec,
    identity: IdentitySpec,
    kind: str,
) -> RunRecord:
    """What the tracked training run of the networks of one kind shows: one curve per variant and quantity."""
    prepared = Preparation.model_validate(preparation)
    refuse_stale(model, network_key(prepared, spec, networks, kind), f"{identity.setting}.{kind}.model")
    return training_record(model, spec.architecture, identity, network=kind)


def _confidence(
    manifest: pd.DataFrame,
    prepared: Preparation,
    model: ModelSpec,
    networks: ClassifierNetworksSpec,
    runtime: RuntimeSpec,
    images: Callable[[], TrainingImages],
) -> TrainingPlan:
    own = networks.confidence_branch
    objective = partial(ConfidenceObjective, Budget(own.price_weight, own.budget))
    key = network_key(prepared, model, networks, CONFIDENCE)
    about = _about(model, prepared, networks, CONFIDENCE, label_smoothing=0.0)
    build = partial(_built, model, second=CONFIDENCES)
    return plan_training(key, about, manifest, prepared, model, runtime, images, build, objective)


def _rotation(
    manifest: pd.DataFrame,
    prepared: Preparation,
    model: ModelSpec,
    networks: ClassifierNetworksSpec,
    runtime: RuntimeSpec,
    images: Callable[[], TrainingImages],
) -> TrainingPlan:
    own = networks.rotation_network
    objective = partial(RotationObjective, own.weight, model.label_smoothing)
    key = network_key(prepared, model, networks, ROTATION)
    build = partial(_built, model, second=ROTATIONS, width=own.hidden_width(model.training))
    about = _about(model, prepared, networks, ROTATION)
    return plan_training(key, about, manifest, prepared, model, runtime, images, build, objective)


def _built(model: ModelSpec, variant: Variant, second: int, width: int = 0) -> nn.Module:
    return build_two_headed(
        model.architecture, model.training, variant, second, width=width, pretrained=model.pretrained
    )


def _about(
    model: ModelSpec, prepared: Preparation, networks: ClassifierNetworksSpec, kind: str, **changed: Any
) -> Mapping[str, Any]:
    own = {f"{kind}.{name}": value for name, value in getattr(networks, kind).model_dump(mode="json").items()}
    return {**about_model(model, prepared), **changed, **own}
