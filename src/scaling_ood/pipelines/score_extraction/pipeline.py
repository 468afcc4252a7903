"""The graph of score extraction.

    model, manifest -> plan_outputs -> outputs -> check_accuracy -> accuracy
    outputs, accuracy -> <detector>.fit_and_score -> <detector>.scores          once per detector

The forward pass is the setting's; a detector's namespace only reads what it left.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Node, Pipeline

from scaling_ood.parameters import SettingSpec
from scaling_ood.pipelines.score_extraction import nodes, scene_nodes
from scaling_ood.scene_parameters import SegmentationSpec
from scaling_ood.structure import detectors_of, image_settings, scene_settings

_SHARED = ["outputs", "accuracy", "manifest", "preparation"]
_PARAMETERS = ["params:model", "params:extraction", "params:detectors", "params:identity"]

_FORWARD = ["model", "manifest", "preparation", *_PARAMETERS[:3], "params:runtime", "params:identity"]
_CHECK = ["outputs", "manifest", "preparation", "params:model", "params:identity"]


def create_pipeline() -> Pipeline:
    """Score extraction of every setting."""
    images = (_images(name, spec) for name, spec in image_settings().items())
    scenes = (_scenes(name, spec) for name, spec in scene_settings().items())
    return sum((*images, *scenes), Pipeline([]))


def _images(name: str, spec: SettingSpec) -> Pipeline:
    forward = [
        Node(nodes.plan_outputs, _FORWARD, "outputs", name="extract_outputs"),
        Node(nodes.check_accuracy, _CHECK, "accuracy", name="check_accuracy"),
    ]
    detectors = (_detector(detector, nodes.fit_and_score, _SHARED) for detector in detectors_of(spec))
    return _stage(name, forward, sum(detectors, Pipeline([])))


def _scenes(name: str, spec: SegmentationSpec) -> Pipeline:
    forward = [
        Node(scene_nodes.plan_scene_outputs, _FORWARD, "outputs", name="extract_outputs"),
        Node(scene_nodes.check_segmentation, _CHECK, "accuracy", name="check_accuracy"),
    ]
    read = [name for name in _SHARED if name != "manifest"]
    detectors = (_detector(detector, scene_nodes.fit_scene_detector, read) for detector in detectors_of(spec))
    return _stage(name, forward, sum(detectors, Pipeline([])))


def _stage(name: str, forward: list[Node], detectors: Pipeline) -> Pipeline:
    return Pipeline([Pipeline(forward), detectors], namespace=name, parameters={"params:runtime"}, tags=name)


def _detector(name: str, function: Callable[..., Any], read: list[str]) -> Pipeline:
    score = update_wrapper(partial(function, detector=name), function)
    node = Node(score, [*read, *_PARAMETERS, "params:options"], "scores", name="fit_and_score")
    return Pipeline(
        [node],
        namespace=name,
        inputs=set(read),
        parameters={**{p: p for p in _PARAMETERS}, "params:options": f"params:detectors.{name}"},
    )
