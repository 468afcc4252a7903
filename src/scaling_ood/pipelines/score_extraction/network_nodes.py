"""Nodes of score extraction for the networks that single detectors read, in the setting of whole images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import nn

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.models import (
    CONFIDENCES,
    ROTATIONS,
    ConfidenceNetworks,
    ForwardPass,
    OutputCheck,
    RotationNetworks,
    trained_two_headed,
)
from scaling_ood.networks import CONFIDENCE, network_words
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.multi_class import ClassifierNetworksSpec, ExtractionSpec, ModelSpec
from scaling_ood.pipelines.extraction import Detectors, Tensors, image_fields, image_set_of, product_name
from scaling_ood.pipelines.score_extraction.nodes import (
    HEADS,
    WrongModelError,
    correct_of,
    of_first_labels,
    output_pass,
    top1_of,
)
from scaling_ood.plans import Part, Plan
from scaling_ood.preparation import Preparation, network_key, outputs_key, refuse_stale


def plan_network_outputs(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    networks: ClassifierNetworksSpec,
    extraction: ExtractionSpec,
    detectors: Detectors,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
    kind: str,
) -> Plan[Tensors]:
    """Plan one pass per image of the networks of one kind; four where the rotation loss is read."""
    prepared = Preparation.model_validate(preparation)
    trained = network_key(prepared, spec, networks, kind)
    refuse_stale(model, trained, product_name(identity, kind, "model"))
    stored = image_fields(detectors, spec.training, kind)
    pass_over = output_pass(manifest, prepared, spec, extraction, runtime, stored, identity, kind)

    def produce(missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        network = _network(kind, prepared, spec, networks, model, losses="rotation_loss" in stored)
        yield from pass_over.produce(network, missing)

    key = outputs_key(prepared, spec, extraction, stored, trained)
    return Plan(key, pass_over.parts(prepared.extracted_sets), produce, pass_over.about(spec.architecture))


def plan_head_outputs(
    classifier_outputs: StoredShards,
    model: StoredModel,
    preparation: dict[str, Any],
    spec: ModelSpec,
    networks: ClassifierNetworksSpec,
    extraction: ExtractionSpec,
    detectors: Detectors,
    identity: IdentitySpec,
    kind: str,
) -> Plan[Tensors]:
    """Plan what heads make of the features that the classifiers' frozen backbone left: no image is read again."""
    prepared = Preparation.model_validate(preparation)
    read = outputs_key(prepared, spec, extraction, image_fields(detectors, spec.training))
    refuse_stale(classifier_outputs, read, f"{identity.setting}.outputs")
    trained = network_key(prepared, spec, networks, kind)
    refuse_stale(model, trained, product_name(identity, kind, "model"))
    stored = image_fields(detectors, spec.training, kind)
    features = f"{prepared.variants(spec)[0].name}/features"  # all variants have the same backbone
    check = OutputCheck(
        identity.setting, network_words(kind, spec.architecture), stored=getattr(torch, extraction.stored)
    )

    def produce(missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        network = _network(kind, prepared, spec, networks, model, losses=False, frozen=nn.Identity()).eval()
        for part in missing:
            with torch.inference_mode():
                passes: dict[str, ForwardPass] = network(classifier_outputs.read(part.name)[features].float())
            outputs = {(name, each): getattr(one, each) for name, one in passes.items() for each in stored}
            kept = {f"{name}/{each}": check.keep(each, tensor) for (name, each), tensor in outputs.items()}
            numbers = [f"number {number + 1} of {part.name}" for number in range(part.items)]
            check.refuse({name: found for name, (_, found) in kept.items()}, numbers, image_set_of(part.name))
            yield part.name, {name: tensor for name, (tensor, _) in kept.items()}

    parts = [Part(name, shard["items"]) for name, shard in classifier_outputs.parts.items() if name != HEADS]
    key = outputs_key(prepared, spec, extraction, stored, trained)
    return Plan(key, parts, produce, classifier_outputs.about)


def check_network_accuracy(
    outputs: StoredShards,
    classifier_accuracy: dict[str, Any],
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    networks: ClassifierNetworksSpec,
    identity: IdentitySpec,
    kind: str,
) -> dict[str, Any]:
    """Top-1 accuracy of the networks of one kind, beside that of the classifiers on the same images.

    Returns:
        As `check_accuracy`, and `classifier_top1`.

    Raises:
        WrongModelError: The first kind of labels falls short of the least accuracy of this kind.
    """
    top1, images = top1_of(correct_of(outputs, manifest, Preparation.model_validate(preparation), spec))
    worst, least = min(of_first_labels(top1, spec)), networks.least_top1(kind, spec)
    if worst < least:
        raise WrongModelError(
            f"{identity.setting}.{kind}: top-1 accuracy {worst:.1%} on {images:,} in-distribution images is under the "
            f"{least:.1%} that is asked for (networks.{kind}.least_top1, by default model.least_top1)"
        )
    return {"top1": top1, "least_top1": least, "images": images, "classifier_top1": classifier_accuracy["top1"]}


def _network(
    kind: str,
    prepared: Preparation,
    spec: ModelSpec,
    networks: ClassifierNetworksSpec,
    model: StoredModel,
    losses: bool,
    frozen: nn.Module | None = None,
) -> nn.Module:
    """The trained networks of one kind, as one module that gives a `ForwardPass` per variant."""
    load = partial(
        trained_two_headed, spec.architecture, spec.training, prepared.variants(spec), model.states(), frozen=frozen
    )
    shared = spec.training == "head"
    if kind == CONFIDENCE:
        return ConfidenceNetworks(load(second=CONFIDENCES), shared)
    width = networks.rotation_network.hidden_width(spec.training)
    return RotationNetworks(load(second=ROTATIONS, width=width), shared, losses)
