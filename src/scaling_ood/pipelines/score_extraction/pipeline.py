"""The graph of score extraction.

    model, manifest -> extract_outputs -> outputs -> check_accuracy -> accuracy
    outputs, accuracy -> <detector>.fit_and_score -> <detector>.scores          once per detector

The forward pass is the setting's; a detector's namespace only reads what it left, unless it has a network of its own:
then model, outputs and accuracy are its own too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Node, Pipeline

from scaling_ood.label_parameters import MultiLabelSpec
from scaling_ood.parameters import SettingSpec
from scaling_ood.pipelines.score_extraction import label_nodes, nodes, scene_nodes
from scaling_ood.scene_parameters import SegmentationSpec
from scaling_ood.structure import detectors_of, image_settings, label_settings, own_networks, scene_settings

_SHARED = ["outputs", "accuracy", "manifest", "preparation"]
_PARAMETERS = ["params:model", "params:extraction", "params:detectors", "params:identity"]

_FORWARD = ["model", "manifest", "preparation", *_PARAMETERS[:3], "params:runtime", "params:identity"]
_CHECK = ["outputs", "manifest", "preparation", "params:model", "params:identity"]

_SCENES_SHARED = ["outputs", "accuracy", "preparation"]
_SCENES_PARAMETERS = ["params:model", "params:networks", *_PARAMETERS[1:]]
_SCENES_FORWARD = ["model", "manifest", "preparation", *_SCENES_PARAMETERS[:4], "params:runtime", "params:identity"]
_CHECK_NETWORK = ["model", "preparation", "params:model", "params:networks", "params:identity"]


def create_pipeline() -> Pipeline:
    """Score extraction of every setting."""
    images = (_images(name, spec) for name, spec in image_settings().items())
    labels = (_labels(name, spec) for name, spec in label_settings().items())
    scenes = (_scenes(name, spec) for name, spec in scene_settings().items())
    return sum((*images, *labels, *scenes), Pipeline([]))


def _images(name: str, spec: SettingSpec) -> Pipeline:
    forward = [
        Node(nodes.plan_outputs, _FORWARD, "outputs", name="extract_outputs"),
        Node(nodes.check_accuracy, _CHECK, "accuracy", name="check_accuracy"),
    ]
    detectors = (
        _detector(detector, [_scoring(nodes.fit_and_score, detector, [*_SHARED, *_PARAMETERS])], _SHARED, _PARAMETERS)
        for detector in detectors_of(spec)
    )
    return _stage(name, forward, sum(detectors, Pipeline([])))


def _labels(name: str, spec: MultiLabelSpec) -> Pipeline:
    forward = [
        Node(label_nodes.plan_label_outputs, _FORWARD, "outputs", name="extract_outputs"),
        Node(label_nodes.check_map, _CHECK, "accuracy", name="check_accuracy"),
    ]
    read = [*_SHARED, *_PARAMETERS]
    detectors = (
        _detector(detector, [_scoring(label_nodes.fit_and_score_labels, detector, read)], _SHARED, _PARAMETERS)
        for detector in detectors_of(spec)
    )
    return _stage(name, forward, sum(detectors, Pipeline([])))


def _scenes(name: str, spec: SegmentationSpec) -> Pipeline:
    forward = [
        Node(scene_nodes.plan_scene_outputs, _SCENES_FORWARD, "outputs", name="extract_outputs"),
        Node(scene_nodes.check_segmentation, _CHECK, "accuracy", name="check_accuracy"),
    ]
    own = own_networks(spec)
    detectors = (_scene_detector(detector, own.get(detector, "")) for detector in detectors_of(spec))
    return _stage(name, forward, sum(detectors, Pipeline([])))


def _scene_detector(name: str, kind: str) -> Pipeline:
    scoring = _scoring(scene_nodes.fit_scene_detector, name, [*_SCENES_SHARED, *_SCENES_PARAMETERS])
    if not kind:
        return _detector(name, [scoring], _SCENES_SHARED, _SCENES_PARAMETERS)
    extract = update_wrapper(partial(scene_nodes.plan_scene_outputs, detector=name), scene_nodes.plan_scene_outputs)
    check = update_wrapper(partial(scene_nodes.check_network, kind=kind, detector=name), scene_nodes.check_network)
    forward = [
        Node(extract, _SCENES_FORWARD, "outputs", name="extract_outputs"),
        Node(check, _CHECK_NETWORK, "accuracy", name="check_accuracy"),
    ]
    own = [*_SCENES_PARAMETERS, "params:runtime"]
    return _detector(name, [*forward, scoring], ["manifest", "preparation"], own)


def _stage(name: str, forward: list[Node], detectors: Pipeline) -> Pipeline:
    return Pipeline([Pipeline(forward), detectors], namespace=name, parameters={"params:runtime"}, tags=name)


def _scoring(function: Callable[..., Any], detector: str, read: list[str]) -> Node:
    score = update_wrapper(partial(function, detector=detector), function)
    return Node(score, [*read, "params:options"], "scores", name="fit_and_score")


def _detector(name: str, stage: list[Node], read: list[str], parameters: list[str]) -> Pipeline:
    return Pipeline(
        stage,
        namespace=name,
        inputs=set(read),
        parameters={**{p: p for p in parameters}, "params:options": f"params:detectors.{name}"},
    )
