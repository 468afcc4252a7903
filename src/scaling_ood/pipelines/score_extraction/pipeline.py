"""The graph of score extraction.

    model, manifest -> extract_outputs -> outputs -> check_accuracy -> accuracy
    outputs, accuracy -> <detector>.fit_and_score -> <detector>.scores          once per detector

The forward pass is the setting's; a detector's namespace only reads what it left, unless its scores come from a network
that learned something else: then model, outputs and accuracy are those of that network, in the namespace of its name.

    <network>.model, manifest -> extract_outputs -> <network>.outputs -> check_accuracy -> <network>.accuracy
    or, where the network is heads on the classifiers' frozen backbone, outputs in place of manifest
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Node, Pipeline

from scaling_ood.networks import of_networks, sources
from scaling_ood.parameters.multi_class import SettingSpec
from scaling_ood.parameters.multi_label import MultiLabelSpec
from scaling_ood.parameters.segmentation import SegmentationSpec
from scaling_ood.pipelines.extraction import on_features
from scaling_ood.pipelines.score_extraction import label_nodes, network_nodes, nodes, scene_nodes
from scaling_ood.structure import detectors_of, image_settings, label_settings, own_networks, scene_settings

_SHARED = ["outputs", "accuracy", "manifest", "preparation"]
_PARAMETERS = ["params:model", "params:extraction", "params:detectors", "params:identity"]

_FORWARD = ["model", "manifest", "preparation", *_PARAMETERS[:3], "params:runtime", "params:identity"]
_CHECK = ["outputs", "manifest", "preparation", "params:model", "params:identity"]

_WITH_NETWORKS = ["params:model", "params:networks", *_PARAMETERS[1:]]
_NETWORK_FORWARD = ["model", "manifest", "preparation", *_WITH_NETWORKS[:4], "params:runtime", "params:identity"]

_SCENES_SHARED = ["outputs", "accuracy", "preparation"]
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
    own = own_networks(spec)
    networks = (_image_network(kind, spec) for kind in dict.fromkeys(own.values()))
    detectors = (_image_detector(detector, own.get(detector, "")) for detector in detectors_of(spec))
    stage = sum((*networks, *detectors), Pipeline([]))
    return _stage(name, forward, stage, of_networks(name, own.values(), stage.inputs()))


def _image_network(kind: str, spec: SettingSpec) -> Pipeline:
    functions = (
        network_nodes.plan_head_outputs,
        network_nodes.plan_network_outputs,
        network_nodes.check_network_accuracy,
    )
    heads, whole, check = (update_wrapper(partial(function, kind=kind), function) for function in functions)
    read = ["model", "preparation", *_WITH_NETWORKS]
    stage = [
        Node(heads, ["classifier_outputs", *read], "outputs", name="extract_outputs")
        if on_features(spec.detectors, spec.model.training, kind)
        else Node(whole, _NETWORK_FORWARD, "outputs", name="extract_outputs"),
        Node(
            check,
            ["outputs", "classifier_accuracy", "manifest", *_CHECK_NETWORK[1:]],
            "accuracy",
            name="check_accuracy",
        ),
    ]
    pipeline = Pipeline(stage)
    shared = {"classifier_outputs": "outputs", "classifier_accuracy": "accuracy"}
    inputs = {"manifest": "manifest", "preparation": "preparation", **shared}
    return Pipeline(
        pipeline,
        namespace=kind,
        inputs={name: source for name, source in inputs.items() if name in pipeline.inputs()},
        parameters={p: p for p in pipeline.inputs() if p.startswith("params:")},
    )


def _image_detector(name: str, network: str) -> Pipeline:
    scoring = [_scoring(nodes.fit_and_score, name, [*_SHARED, *_WITH_NETWORKS])]
    return _detector(name, scoring, sources(name, network, _SHARED), _WITH_NETWORKS)


def _labels(name: str, spec: MultiLabelSpec) -> Pipeline:
    forward = [
        Node(label_nodes.plan_label_outputs, _FORWARD, "outputs", name="extract_outputs"),
        Node(label_nodes.check_map, _CHECK, "accuracy", name="check_accuracy"),
    ]
    read, shared = [*_SHARED, *_PARAMETERS], {product: product for product in _SHARED}
    detectors = (
        _detector(detector, [_scoring(label_nodes.fit_and_score_labels, detector, read)], shared, _PARAMETERS)
        for detector in detectors_of(spec)
    )
    return _stage(name, forward, sum(detectors, Pipeline([])))


def _scenes(name: str, spec: SegmentationSpec) -> Pipeline:
    forward = [
        Node(scene_nodes.plan_scene_outputs, _NETWORK_FORWARD, "outputs", name="extract_outputs"),
        Node(scene_nodes.check_segmentation, _CHECK, "accuracy", name="check_accuracy"),
    ]
    own = own_networks(spec)
    detectors = (_scene_detector(detector, own.get(detector, "")) for detector in detectors_of(spec))
    return _stage(name, forward, sum(detectors, Pipeline([])))


def _scene_detector(name: str, kind: str) -> Pipeline:
    scoring = _scoring(scene_nodes.fit_scene_detector, name, [*_SCENES_SHARED, *_WITH_NETWORKS])
    shared = sources(name, kind, _SCENES_SHARED)
    if not kind:
        return _detector(name, [scoring], shared, _WITH_NETWORKS)
    extract = update_wrapper(partial(scene_nodes.plan_scene_outputs, detector=name), scene_nodes.plan_scene_outputs)
    check = update_wrapper(partial(scene_nodes.check_network, kind=kind, detector=name), scene_nodes.check_network)
    forward = [
        Node(extract, _NETWORK_FORWARD, "outputs", name="extract_outputs"),
        Node(check, _CHECK_NETWORK, "accuracy", name="check_accuracy"),
    ]
    own = [*_WITH_NETWORKS, "params:runtime"]
    return _detector(name, [*forward, scoring], {"manifest": "manifest", **shared}, own)


def _stage(name: str, forward: list[Node], detectors: Pipeline, inputs: dict[str, str] | None = None) -> Pipeline:
    stage = [Pipeline(forward), detectors]
    return Pipeline(stage, namespace=name, inputs=inputs, parameters={"params:runtime"}, tags=name)


def _scoring(function: Callable[..., Any], detector: str, read: list[str]) -> Node:
    score = update_wrapper(partial(function, detector=detector), function)
    return Node(score, [*read, "params:options"], "scores", name="fit_and_score")


def _detector(name: str, stage: list[Node], read: dict[str, str], parameters: list[str]) -> Pipeline:
    return Pipeline(
        stage,
        namespace=name,
        inputs=read,
        parameters={**{p: p for p in parameters}, "params:options": f"params:detectors.{name}"},
    )
