"""Nodes of score extraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scaling_ood.detectors import Need, field_of
from scaling_ood.evaluation.passes import of_sets
from scaling_ood.models.chance import alone
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.parameters.setting import ExtractionSpec
from scaling_ood.products.keys import keyed
from scaling_ood.products.plans import Plan, divided, planned
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Quality, Scores
from scaling_ood.products.stored import StoredModel, StoredShards, Tensors
from scaling_ood.tasks import Task


def _passed_images(given: Mapping[str, Any]) -> Any:
    task, network = given["task"], given["network"]
    return given["manifest"].contents(task.passed_sets(network, given["manifest"].preparation))


def _scored_images(given: Mapping[str, Any]) -> Any:
    return given["manifest"].contents(given["manifest"].preparation.digests)


def _stored_needs(given: Mapping[str, Any]) -> Any:
    return sorted(map(field_of, given["needs"]))


def _options(given: Mapping[str, Any]) -> Any:
    return {name: method.what_matters() for name, method in given["detectors"].items()}


@keyed(manifest=_passed_images, needs=_stored_needs)
@alone()
def extract_outputs(
    task: Task,
    needs: frozenset[str | Need],
    model: StoredModel,
    manifest: Manifest,
    network: NetworkSpec,
    extraction: ExtractionSpec,
    runtime: RuntimeSpec,
    features: StoredShards | None = None,
) -> Plan[Tensors]:
    """Plan one forward pass per image, which feeds every detector that reads the network.

    Args:
        task: Of the setting.
        needs: What its detectors read.
        model: The networks.
        manifest: All images.
        network: What they are.
        extraction: What is stored.
        runtime: Device and workers.
        features: Outputs of the shared network, where this one is a head on what they hold: no image is read again.
    """
    plan = task.plan_outputs(network, model, manifest, needs, extraction, runtime, features)
    return (
        plan if extraction.keep == "outputs" else replace(plan, parts=of_sets(plan.parts, [task.fit_set], heads=True))
    )


@keyed(2, manifest=_passed_images, needs=_stored_needs, detectors=_options)
@alone()
def pass_and_score(
    task: Task,
    needs: frozenset[str | Need],
    detectors: Mapping[str, Method],
    model: StoredModel,
    outputs: StoredShards,
    manifest: Manifest,
    network: NetworkSpec,
    extraction: ExtractionSpec,
    runtime: RuntimeSpec,
) -> Plan[Tensors]:
    """Plan one forward pass per test image, of which only the scores of all detectors stay.

    Args:
        task: Of the setting.
        needs: What its detectors read.
        detectors: Those that read the network.
        model: The networks.
        outputs: Of the fit images.
        manifest: All images.
        network: What they are.
        extraction: What is stored.
        runtime: Device and workers.
    """
    return task.plan_scores(detectors, network, model, outputs, manifest, needs, extraction, runtime)


@planned(manifest=_passed_images, silent=["manifest"])
def check_quality(
    task: Task, outputs: StoredShards, manifest: Manifest, network: NetworkSpec, scored: StoredShards | None = None
) -> Quality:
    """How good the networks are at their own work, before any detector is looked at.

    Raises:
        WrongNetworkError: One of them is worse than it is known to be, so that no score of it means anything.
    """
    return task.check(network, outputs, manifest) if scored is None else task.check(network, outputs, manifest, scored)


@divided(manifest=_scored_images, silent=["manifest", "quality"])
def score_images(
    task: Task, runtime: RuntimeSpec, outputs: StoredShards, quality: Quality, manifest: Manifest, detector: Method
) -> Plan[Tensors]:
    """Fit one detector on the fit images and score every test image, for the network of each seed, on the device."""
    return task.score(detector, outputs, quality, manifest, runtime)


@planned(manifest=_scored_images, silent=["manifest", "quality"])
def collect_scores(
    task: Task, outputs: StoredShards, scored: StoredShards, quality: Quality, manifest: Manifest, detector: Method
) -> Scores:
    """The scores of one detector, where test images were scored while they were passed."""
    return task.collect(detector, outputs, scored, quality, manifest)
