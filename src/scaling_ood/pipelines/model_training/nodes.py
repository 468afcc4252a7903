"""Nodes of model training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scaling_ood.evaluation.facts import training_run
from scaling_ood.models.chance import alone
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.products.keys import keyed
from scaling_ood.products.plans import Plan, TrainingPlan
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.records import RunRecord
from scaling_ood.products.stored import ProvidedFile, StoredModel, StoredShards, Tensors
from scaling_ood.tasks import Task


def _seen_images(given: Mapping[str, Any]) -> Any:
    return given["manifest"].contents(given["task"].training_sets)


def _known_classes(given: Mapping[str, Any]) -> Any:
    sets = given["task"].training_sets if given["network"].source.trains else ()
    return given["manifest"].contents(sets)


def _what_it_sees(given: Mapping[str, Any]) -> Any:
    return given["task"].seen(given["network"])


def _what_it_learns(given: Mapping[str, Any]) -> Any:
    return given["task"].learns(given["network"])


@keyed(manifest=_seen_images, network=_what_it_sees)
@alone()
def extract_features(task: Task, manifest: Manifest, network: NetworkSpec, runtime: RuntimeSpec) -> Plan[Tensors]:
    """Plan the frozen backbone's features of the images that a head is trained on; that then takes seconds."""
    return task.plan_features(network, manifest, runtime)


@keyed(manifest=_known_classes, network=_what_it_learns)
@alone()
def train_networks(
    task: Task,
    manifest: Manifest,
    network: NetworkSpec,
    runtime: RuntimeSpec,
    features: StoredShards | None = None,
    checkpoint: ProvidedFile | None = None,
) -> TrainingPlan:
    """Plan the training of one network per seed; or verify published weights, or take over those of a file."""
    return task.plan_training(network, manifest, runtime, features, checkpoint)


def record_trainings(task: Task, benchmark: str, **models: StoredModel) -> dict[str, RunRecord]:
    """What the tracked run of each network shows."""
    return {name: training_run(name, model, benchmark, task.name, task.validated) for name, model in models.items()}
