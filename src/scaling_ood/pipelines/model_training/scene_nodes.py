"""Nodes of model training for segmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from scaling_ood.datasets import ProvidedFile, StoredModel
from scaling_ood.images import Preprocessing, recorded_files
from scaling_ood.images.recorded import LABEL
from scaling_ood.models import Forward, fitting_state, read_checkpoint
from scaling_ood.models.segmentation import (
    AUTOENCODER_PREPROCESSING,
    PSPNet,
    SpatialAutoencoder,
    build_autoencoder,
    build_segmenter,
)
from scaling_ood.networks import AUTOENCODER, CONFIDENCE
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.segmentation import AutoencoderSpec, NetworksSpec, SegmenterSpec
from scaling_ood.pipelines.model_training.runs import training_record
from scaling_ood.plans import TrainingPlan
from scaling_ood.preparation import refuse_other_file, refuse_stale
from scaling_ood.records import RunRecord
from scaling_ood.scene_preparation import (
    AUTOENCODER_NAME,
    ScenePreparation,
    autoencoder_edge,
    network_key,
    scene_preprocessing,
    segmenter_key,
    variant_of,
    weights_of,
)
from scaling_ood.training.confidence import Budget, Hints
from scaling_ood.training.reconstruction import ReconstructionRecipe, train_autoencoders
from scaling_ood.training.resumable import ResumableState
from scaling_ood.training.scenes import Augmentation, SceneFiles, SceneSets
from scaling_ood.training.segmentation import SegmentationRecipe, train_segmenters


def train_segmenter(
    manifest: pd.DataFrame, preparation: dict[str, Any], model: SegmenterSpec, runtime: RuntimeSpec
) -> TrainingPlan:
    """Plan the training of the segmenters."""
    prepared = ScenePreparation.model_validate(preparation)
    run = _segmentation(manifest, prepared, model, runtime, None)
    return TrainingPlan(
        segmenter_key(prepared, model), model.epochs * len(model.seeds), run, about_segmenter(model, prepared)
    )


def train_confidence_branch(
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    model: SegmenterSpec,
    networks: NetworksSpec,
    runtime: RuntimeSpec,
) -> TrainingPlan:
    """Plan the training of segmenters with a confidence head; all else is as for the segmenters."""
    prepared, own = ScenePreparation.model_validate(preparation), networks.confidence_branch
    run = _segmentation(manifest, prepared, model, runtime, Hints(own.hints, Budget(own.price_weight, own.budget)))
    about = {**about_segmenter(model, prepared), **_named("confidence_branch", own.model_dump())}
    key = network_key(prepared, model, networks, CONFIDENCE)
    return TrainingPlan(key, model.epochs * len(model.seeds), run, about)


def train_autoencoder(
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    model: SegmenterSpec,
    networks: NetworksSpec,
    runtime: RuntimeSpec,
) -> TrainingPlan:
    """Plan the training of autoencoders; the epoch with the smallest error on the validation scenes is used."""
    prepared, own = ScenePreparation.model_validate(preparation), networks.autoencoder
    sets = _sets(manifest, prepared, model, runtime, AUTOENCODER_PREPROCESSING, autoencoder_edge(model, own))
    recipe = ReconstructionRecipe(own.epochs, own.batch_images, own.steps_per_epoch, own.learning_rate, own.difference)
    device = Forward(runtime.device).torch_device
    build = {variant_of(seed): _autoencoder(own, seed) for seed in model.seeds}
    seeds = {variant_of(seed): seed for seed in model.seeds}

    def run(state: ResumableState | None) -> Iterator[ResumableState]:
        yield from train_autoencoders(build, sets, seeds, recipe, device, state)

    about = {**_named("autoencoder", own.model_dump()), "seeds": _joined(model.seeds), **_scenes(prepared)}
    key = network_key(prepared, model, networks, AUTOENCODER)
    return TrainingPlan(key, own.epochs * len(model.seeds), run, about)


def adopt_checkpoint(checkpoint: ProvidedFile, preparation: dict[str, Any], model: SegmenterSpec) -> TrainingPlan:
    """Take over the weights of a file, after making sure that they fit.

    Raises:
        CheckpointError: They do not, or the file holds no weights.
    """
    prepared = ScenePreparation.model_validate(preparation)
    refuse_other_file(checkpoint, prepared.checkpoint)
    network = _segmenter(model, prepared.network_classes(model), model.seeds[0], False)()
    weights = fitting_state(network, read_checkpoint(checkpoint.path), optional=("auxiliary.",))
    adopted: ResumableState = {"models": {f"{variant_of(model.seeds[0])}.best": weights}, "history": []}
    about = {**about_segmenter(model, prepared), "checkpoint": prepared.checkpoint}
    return TrainingPlan(segmenter_key(prepared, model), 1, lambda _: iter([adopted]), about)


def record_segmenter(
    model: StoredModel, preparation: dict[str, Any], spec: SegmenterSpec, identity: IdentitySpec
) -> RunRecord:
    """What the tracked training run shows: one curve per seed and quantity."""
    prepared = ScenePreparation.model_validate(preparation)
    refuse_stale(model, segmenter_key(prepared, spec), f"{identity.setting}.model")
    return training_record(model, spec.architecture, identity, quality="validation_miou")


def record_network(
    model: StoredModel,
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    networks: NetworksSpec,
    identity: IdentitySpec,
    kind: str,
    detector: str,
) -> RunRecord:
    """The same for the networks of one detector."""
    prepared = ScenePreparation.model_validate(preparation)
    refuse_stale(model, network_key(prepared, spec, networks, kind), f"{identity.setting}.{detector}.model")
    architecture = spec.architecture if kind == CONFIDENCE else AUTOENCODER_NAME
    return training_record(model, architecture, identity, network=detector, quality="validation_miou")


def about_segmenter(spec: SegmenterSpec, prepared: ScenePreparation) -> Mapping[str, Any]:
    """What to tell a reader of trained segmenters."""
    preprocessing = scene_preprocessing(spec)
    return {
        **{name: value for name, value in spec.model_dump(mode="json").items() if not isinstance(value, list)},
        "seeds": _joined(spec.seeds),
        "short_edges": _joined(spec.short_edges),
        "weights": weights_of(spec),
        "classes": prepared.network_classes(spec),
        "preprocessing.mean": str(preprocessing.mean),
        "preprocessing.std": str(preprocessing.std),
        **_scenes(prepared),
    }


def _segmentation(
    manifest: pd.DataFrame, prepared: ScenePreparation, model: SegmenterSpec, runtime: RuntimeSpec, hints: Hints | None
) -> Callable[[ResumableState | None], Iterator[ResumableState]]:
    sets = _sets(manifest, prepared, model, runtime, scene_preprocessing(model), model.test_edge)
    recipe = SegmentationRecipe(
        model.epochs,
        model.batch_images,
        model.steps_per_epoch,
        learning_rate=model.learning_rate,
        weight_decay=model.weight_decay,
        images_per_scale=model.images_per_scale,
        best_epoch=model.best_epoch,
        hints=hints,
        precision=model.precision,
    )
    device = Forward(runtime.device).torch_device
    build = {
        variant_of(seed): _segmenter(model, len(prepared.classes), seed, hints is not None) for seed in model.seeds
    }
    seeds = {variant_of(seed): seed for seed in model.seeds}

    def run(state: ResumableState | None) -> Iterator[ResumableState]:
        yield from train_segmenters(build, sets, seeds, recipe, device, state)

    return run


def _segmenter(model: SegmenterSpec, classes: int, seed: int, confidence: bool) -> Callable[[], PSPNet]:
    return partial(
        build_segmenter,
        model.architecture,
        classes,
        pretrained=model.pretrained and model.training == "network",
        seed=seed,
        width=model.width,
        dropout=model.dropout,
        confidence=confidence,
    )


def _autoencoder(own: AutoencoderSpec, seed: int) -> Callable[[], SpatialAutoencoder]:
    return partial(build_autoencoder, seed=seed, skips=own.skips, dropout=own.dropout)


def _sets(
    manifest: pd.DataFrame,
    prepared: ScenePreparation,
    model: SegmenterSpec,
    runtime: RuntimeSpec,
    preprocessing: Preprocessing,
    edge: int | None,
) -> SceneSets:
    """Training and validation scenes; `edge` replaces the training scales where it is not the segmenter's own."""
    edges = model.short_edges if edge == model.test_edge else (edge,) if edge else ()
    return SceneSets(
        _files(manifest, prepared, "train"),
        _files(manifest, prepared, "validation"),
        preprocessing,
        Augmentation(edges, model.longest_edge),
        edge,
        runtime.workers,
        model.label_stride,
    )


def _files(manifest: pd.DataFrame, prepared: ScenePreparation, role: str) -> SceneFiles:
    rows = manifest[manifest["image_set"] == role]
    images, labels = (recorded_files(rows, prepared.folder, kind) for kind in ("", LABEL))
    return SceneFiles(images, labels, prepared.label_map, prepared.orientation)


def _scenes(prepared: ScenePreparation) -> dict[str, int]:
    return {f"{role}_images": prepared.images.get(role, 0) for role in ("train", "validation")}


def _named(prefix: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in options.items()}


def _joined(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))
