"""Nodes of model training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import nn

from scaling_ood.datasets import ProvidedFile, StoredModel, StoredShards
from scaling_ood.images import Photographs, recorded_files
from scaling_ood.models import (
    Forward,
    Variant,
    adopted_state,
    architecture,
    assemble,
    published_digest,
    read_checkpoint,
    trainable,
)
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.multi_class import ModelSpec
from scaling_ood.pipelines.extraction import Tensors, loading_of
from scaling_ood.pipelines.model_training.features import plan_features
from scaling_ood.pipelines.model_training.runs import training_record
from scaling_ood.plans import Plan, TrainingPlan
from scaling_ood.preparation import (
    Preparation,
    model_key,
    preprocessing_of,
    refuse_other_file,
    refuse_stale,
    training_features_key,
)
from scaling_ood.records import RunRecord
from scaling_ood.training import Objective, Recipe, TrainingImages, TrainingState, train_classifiers
from scaling_ood.training.images import AugmentedImages, CachedFeatures, StreamedPixels

HELD_BYTES = 4 * 10**9
"""Training images that take more, decoded, are decoded anew for each batch."""


def plan_training_features(
    manifest: pd.DataFrame, preparation: dict[str, Any], model: ModelSpec, runtime: RuntimeSpec
) -> Plan[Tensors]:
    """Plan the frozen backbone's features of the training images; a head is then trained on them in seconds."""
    prepared = Preparation.model_validate(preparation)
    key, transform = training_features_key(prepared, model), preprocessing_of(model, prepared)
    return plan_features(key, manifest, prepared, transform, model.architecture, runtime)


def train_heads(
    features: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    model: ModelSpec,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
) -> TrainingPlan:
    """Plan the training of linear heads on cached features."""
    prepared = Preparation.model_validate(preparation)
    images = cached_features(features, prepared, model, runtime, identity)
    build = partial(trainable, model.architecture, model.training, pretrained=model.pretrained)
    key, about = model_key(prepared, model), about_model(model, prepared)
    return plan_training(key, about, manifest, prepared, model, runtime, images, build)


def train_networks(
    manifest: pd.DataFrame, preparation: dict[str, Any], model: ModelSpec, runtime: RuntimeSpec
) -> TrainingPlan:
    """Plan the training of whole networks."""
    prepared = Preparation.model_validate(preparation)
    images = training_images(manifest, prepared, model, runtime)
    build = partial(trainable, model.architecture, model.training, pretrained=model.pretrained)
    key, about = model_key(prepared, model), about_model(model, prepared)
    return plan_training(key, about, manifest, prepared, model, runtime, images, build)


def verify_published(preparation: dict[str, Any], model: ModelSpec) -> TrainingPlan:
    """Load published weights and make sure that they are the registered ones, if any are, and fit the classes.

    Their accuracy is checked in score extraction, before any score.

    Raises:
        ClassCountError: The head knows another number of classes than the data set has.
        ValueError: The weights are not the registered ones.
    """
    prepared = Preparation.model_validate(preparation)
    assemble(model.architecture, "none", prepared.variants(model), {})
    registered, found = architecture(model.architecture).weights_digest, published_digest(model.architecture)
    if registered and found != registered:
        raise ValueError(f"the weights of {model.architecture} have digest {found}, registered is {registered}")
    return TrainingPlan(model_key(prepared, model), 0, lambda _: iter(()), about_model(model, prepared))


def adopt_classifier(checkpoint: ProvidedFile, preparation: dict[str, Any], model: ModelSpec) -> TrainingPlan:
    """Take over the weights of a file, after making sure that they fit the network and the data set's classes.

    Their accuracy is checked in score extraction, before any score.

    Raises:
        CheckpointError: They do not fit, or the file holds no weights.
        StaleProductError: It is not the file that the data was prepared with.
    """
    prepared = Preparation.model_validate(preparation)
    refuse_other_file(checkpoint, prepared.checkpoint)
    (variant,) = prepared.variants(model)

    def run(_: TrainingState | None) -> Iterator[TrainingState]:
        state = adopted_state(model.architecture, read_checkpoint(checkpoint.path), variant.classes)
        yield {"models": {variant.name: state}, "history": []}

    about = {**about_model(model, prepared), "checkpoint": prepared.checkpoint}
    return TrainingPlan(model_key(prepared, model), 1, run, about)


def record_training(
    model: StoredModel, preparation: dict[str, Any], spec: ModelSpec, identity: IdentitySpec
) -> RunRecord:
    """What the tracked training run shows: one curve per variant and quantity."""
    prepared = Preparation.model_validate(preparation)
    refuse_stale(model, model_key(prepared, spec), f"{identity.setting}.model")
    return training_record(model, spec.architecture, identity)


def cached_features(
    features: StoredShards, prepared: Preparation, model: ModelSpec, runtime: RuntimeSpec, identity: IdentitySpec
) -> Callable[[], CachedFeatures]:
    """How the stored features of the training images are read.

    Raises:
        StaleProductError: They are of other images or another backbone.
    """
    refuse_stale(features, training_features_key(prepared, model), f"{identity.setting}.training_features")
    device = Forward(runtime.device).torch_device

    def images() -> CachedFeatures:
        blocks = [features.read(name)["features/features"] for name in features.parts]
        return CachedFeatures(torch.cat(blocks), device)

    return images


def training_images(
    manifest: pd.DataFrame, prepared: Preparation, model: ModelSpec, runtime: RuntimeSpec
) -> Callable[[], AugmentedImages]:
    """How the training images are read: once and for all where memory holds them decoded, else for each batch."""
    rows = manifest[manifest["image_set"] == "train"]
    files = recorded_files(rows, rows["data_set"].map(prepared.folders))
    preprocessing, device = preprocessing_of(model, prepared), Forward(runtime.device).torch_device

    def images() -> AugmentedImages:
        source = Photographs(files, preprocessing)
        if len(files) * 3 * preprocessing.crop_px**2 > HELD_BYTES:
            return AugmentedImages(StreamedPixels(source, runtime.workers), preprocessing, device)
        batches = loading_of(runtime).batches(source, pin_memory=False)
        return AugmentedImages(torch.cat(list(batches)), preprocessing, device)

    return images


def plan_training(
    key: str,
    about: Mapping[str, Any],
    manifest: pd.DataFrame,
    prepared: Preparation,
    spec: ModelSpec,
    runtime: RuntimeSpec,
    images: Callable[[], TrainingImages],
    build: Callable[[Variant], nn.Module],
    objective: Callable[[], Objective] | None = None,
) -> TrainingPlan:
    """Plan the training of one module per variant.

    Args:
        key: Of the trained modules.
        about: What to tell a reader of them.
        manifest: For the labels of the training images.
        prepared: Record of the data.
        spec: How to train.
        runtime: Device.
        images: Reads what the modules are trained on.
        build: Variant to its module with its initial weights.
        objective: Begins what each variant minimises; by default the cross-entropy of the classes.
    """
    variants, device = prepared.variants(spec), Forward(runtime.device).torch_device
    fine = torch.tensor(manifest.loc[manifest["image_set"] == "train", "label"].to_numpy())
    labels = {v.name: fine if v.labels == "fine" else torch.tensor(prepared.group_of_class)[fine] for v in variants}
    recipe = Recipe(spec.epochs, spec.batch_images, spec.learning_rate, spec.weight_decay, spec.label_smoothing)

    def run(state: TrainingState | None) -> Iterator[TrainingState]:
        begin = {variant.name: partial(_placed, build, variant, device) for variant in variants}
        seeds = {variant.name: variant.seed for variant in variants}
        yield from train_classifiers(begin, images(), labels, seeds, recipe, state, objective)

    return TrainingPlan(key, spec.epochs * len(variants), run, about)


def about_model(spec: ModelSpec, prepared: Preparation) -> Mapping[str, Any]:
    """What to tell a reader of trained classifiers."""
    preprocessing = preprocessing_of(spec, prepared)
    return {
        **{name: value for name, value in spec.model_dump(mode="json").items() if not isinstance(value, list)},
        "labels": ",".join(spec.labels),
        "seeds": ",".join(map(str, spec.seeds)),
        "weights": _weights(spec),
        "classes": len(prepared.classes),
        **{f"preprocessing.{name}": str(value) for name, value in vars(preprocessing).items()},
        "train_images": prepared.images.get("train", 0),
    }


def _placed(build: Callable[[Variant], nn.Module], variant: Variant, device: torch.device) -> nn.Module:
    return build(variant).to(device)


def _weights(spec: ModelSpec) -> str:
    if spec.weights == "checkpoint":
        return "checkpoint"
    random = spec.training == "network" and not spec.pretrained
    return "random initialisation" if random else architecture(spec.architecture).weights
