"""Nodes of score extraction for segmentation: outputs on the networks' own grids; what each detector makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.detectors import Detector, NotApplicableError, OutputsList, build_detector
from scaling_ood.detectors.background import Background
from scaling_ood.metrics import ConfusionMatrix
from scaling_ood.metrics.contradiction import contradiction
from scaling_ood.models import Forward
from scaling_ood.networks import AUTOENCODER, SCENES, SHARED, network_of
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.segmentation import NetworksSpec, SceneExtractionSpec, SegmenterSpec
from scaling_ood.pipelines.extraction import Detectors, Tensors, fields_for, product_name, refuse_unmade
from scaling_ood.pipelines.scene_extraction import SceneExtraction, stored_scenes
from scaling_ood.pipelines.score_extraction.nodes import WrongModelError, tell
from scaling_ood.plans import Plan
from scaling_ood.preparation import refuse_stale, scores_key
from scaling_ood.scene_preparation import (
    AUTOENCODER_NAME,
    RANDOM,
    ScenePreparation,
    network_key,
    roles_of,
    scene_outputs_key,
    variant_of,
    weights_of,
)

BACKGROUNDS = frozenset({"unlabeled", "other", "background"})
"""What a class is called that holds everything without a class of its own."""


def plan_scene_outputs(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    networks: NetworksSpec,
    extraction: SceneExtractionSpec,
    detectors: Detectors,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
    detector: str = "",
) -> Plan[Tensors]:
    """Plan one forward pass per scene, of the segmenter for all detectors that read it or of one detector's network."""
    prepared = ScenePreparation.model_validate(preparation)
    kind = network_of(detector, SCENES) if detector else SHARED
    refuse_stale(model, network_key(prepared, spec, networks, kind), product_name(identity, detector, "model"))
    forward = Forward(runtime.device, extraction.precision, runtime.channels_last)
    fields = fields_for(detectors, SCENES[kind], kind)
    passes = SceneExtraction(
        manifest, prepared, spec, networks, extraction, forward, kind, tuple(fields), runtime.workers, identity.setting
    )
    about = {
        "device": forward.device_name,
        "precision": extraction.precision,
        "stored": extraction.stored,
        "scales": ", ".join(str(edge or "as it is") for edge in passes.edges),
        "model": AUTOENCODER_NAME if kind == AUTOENCODER else spec.architecture,
        "weights": weights_of(spec) if kind != AUTOENCODER else RANDOM,
        "torch": torch.__version__,
    }
    key = scene_outputs_key(prepared, spec, extraction, networks, fields, kind)
    return Plan(key, passes.parts(), partial(passes.produce, model), about)


def check_segmentation(
    outputs: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    identity: IdentitySpec,
) -> dict[str, Any]:
    """Mean IoU and pixel accuracy on the validation scenes, and on the known pixels of the test scenes.

    Returns:
        Role to `miou` and `pixel_accuracy`, fractions, means over the seeds; no role where the labels do not say which
        class is right. `warning` where the two contradict each other; `least_miou`; `images`.

    Raises:
        WrongModelError: The validation mIoU of a seed falls short of the least that was asked for.
    """
    prepared = ScenePreparation.model_validate(preparation)
    quality: dict[str, Any] = {"least_miou": spec.least_miou, "images": prepared.images}
    for role in roles_of(prepared, SHARED) if prepared.has_truth(spec) else ():
        found = _confusions(outputs, manifest, prepared, spec, role)
        miou = [one.mean_iou() for one in found]
        if role == "validation":
            _refuse_wrong(min(miou), spec, prepared, identity.setting)
        accuracy = [one.pixel_accuracy() for one in found]
        quality[role] = {"miou": float(np.mean(miou)), "pixel_accuracy": float(np.mean(accuracy))}
    if {"validation", "test"} <= quality.keys():
        test, validation = (quality[role]["miou"] for role in ("test", "validation"))
        quality["warning"] = contradiction("mIoU of the known pixels", test, validation, "the validation scenes")
        tell(quality["warning"])
    return quality


def check_network(
    model: StoredModel,
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    networks: NetworksSpec,
    identity: IdentitySpec,
    kind: str,
    detector: str,
) -> dict[str, Any]:
    """How good the networks of one detector were on the validation scenes, by their training's own record.

    Returns:
        As `check_segmentation`; of an autoencoder, `loss` in units of its normalised input.

    Raises:
        WrongModelError: The validation mIoU of a seed falls short of the least that was asked for.
    """
    prepared = ScenePreparation.model_validate(preparation)
    refuse_stale(model, network_key(prepared, spec, networks, kind), product_name(identity, detector, "model"))
    history = pd.DataFrame(model.history)
    if kind == AUTOENCODER:
        loss = history.groupby("variant")["validation_loss"].min()
        return {"validation": {"loss": float(loss.mean())}, "images": prepared.images}
    best = history.loc[history.groupby("variant")["validation_miou"].idxmax()]
    _refuse_wrong(float(best["validation_miou"].min()), spec, prepared, f"{identity.setting}.{detector}")
    values = {"miou": best["validation_miou"].mean(), "pixel_accuracy": best["validation_accuracy"].mean()}
    return {
        "least_miou": spec.least_miou,
        "images": prepared.images,
        "validation": {name: float(value) for name, value in values.items()},
    }


def fit_scene_detector(
    outputs: StoredShards,
    accuracy: dict[str, Any],  # noqa: ARG001 - no score before the model was checked
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    networks: NetworksSpec,
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
    key = detector_outputs_key(prepared, spec, extraction, networks, detectors, detector)
    refuse_stale(outputs, key, product_name(identity, network_of(detector, SCENES), "outputs"))
    gap = ""
    try:
        build_scene_detector(detector, options, prepared)
    except NotApplicableError as reason:
        gap = f"not applicable: {reason}"
    return {"detector": detector, "options": options, "key": scores_key(key, detector, options), "gap": gap}


def detector_outputs_key(
    prepared: ScenePreparation,
    spec: SegmenterSpec,
    extraction: SceneExtractionSpec,
    networks: NetworksSpec,
    detectors: Detectors,
    detector: str,
) -> str:
    """Key of the outputs that a detector reads."""
    kind = network_of(detector, SCENES)
    return scene_outputs_key(prepared, spec, extraction, networks, fields_for(detectors, SCENES[kind], kind), kind)


def build_scene_detector(name: str, options: Mapping[str, Any], prepared: ScenePreparation) -> Detector:
    """A detector for pixels.

    Raises:
        NotApplicableError: It reads whole images only, or needs a background class that there is not.
    """
    built = build_detector(name, **options)
    if not built.dense:
        raise NotApplicableError("the method is defined for whole images, not for pixels")
    kind = network_of(name, SCENES)
    refuse_unmade(built, SCENES[kind], kind)
    built.fit(OutputsList([]))  # none of them learns anything; those that need more than pixels say so
    own = built.class_index if isinstance(built, Background) else None
    if isinstance(built, Background) and (own is None or prepared.classes[own] not in BACKGROUNDS):
        raise NotApplicableError(f"there is no background class (the classes: {', '.join(prepared.classes)})")
    return built


def _confusions(
    outputs: StoredShards, manifest: pd.DataFrame, prepared: ScenePreparation, spec: SegmenterSpec, role: str
) -> list[ConfusionMatrix]:
    """One per seed."""
    found = {variant_of(seed): ConfusionMatrix(len(prepared.classes)) for seed in spec.seeds}
    for scene in stored_scenes(outputs, manifest, prepared, role):
        for variant, confusion in found.items():
            predicted = scene.outputs(variant).logits.argmax(dim=1)[0].numpy()
            confusion.add(predicted, scene.train_ids, scene.train_ids < len(prepared.classes))
    return list(found.values())


def _refuse_wrong(miou: float, spec: SegmenterSpec, prepared: ScenePreparation, who: str) -> None:
    if miou < spec.least_miou:
        raise WrongModelError(
            f"{who}: mIoU {miou:.1%} on {prepared.images['validation']:,} validation scenes is under the "
            f"{spec.least_miou:.1%} that {spec.architecture} is known for (model.least_miou): check weights, "
            "preprocessing and the label map"
        )
