"""The graph of data preparation.

    [fabricate_images] -> fabricated_images -.
                                 data_root --+-> prepare_manifest -> manifest, quarantine, preparation

The first node is there only where the setting has `fabrication`; `checkpoint` is read too where the model's weights are
those of a file, and a node `curate_images` comes before where a data set has `curation`.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.parameters.multi_class import SettingSpec
from scaling_ood.parameters.multi_label import MultiLabelSpec
from scaling_ood.parameters.segmentation import SegmentationSpec
from scaling_ood.pipelines.data_preparation.curation_nodes import curate_images
from scaling_ood.pipelines.data_preparation.label_nodes import fabricate_composites, prepare_label_manifest
from scaling_ood.pipelines.data_preparation.nodes import fabricate_images, prepare_manifest
from scaling_ood.pipelines.data_preparation.scene_nodes import fabricate_scenes, prepare_scene_manifest
from scaling_ood.structure import image_settings, label_settings, scene_settings

_INPUTS = {"data_root": "data_root", "data": "params:data", "identity": "params:identity", "runtime": "params:runtime"}
_FABRICATED = {"fabricated": "fabricated_images"}
_CHECKPOINT = {"checkpoint": "checkpoint"}  # its fingerprint is part of every later key
_OUTPUTS = ["manifest", "quarantine", "preparation"]


def create_pipeline() -> Pipeline:
    """Data preparation of every setting."""
    images = (_images(name, spec) for name, spec in image_settings().items())
    labels = (_labels(name, spec) for name, spec in label_settings().items())
    scenes = (_scenes(name, spec) for name, spec in scene_settings().items())
    return sum((*images, *labels, *scenes), Pipeline([]))


def _images(name: str, spec: SettingSpec) -> Pipeline:
    inputs = _INPUTS | {"data_sets": "params:data_sets"}
    nodes = []
    if spec.fabrication:
        nodes.append(Node(fabricate_images, "params:fabrication", "fabricated_images", name="fabricate_images"))
        inputs |= _FABRICATED
    if spec.curated():
        read = {name: place for name, place in inputs.items() if name != "identity"}
        nodes.append(Node(curate_images, read, "curation", name="curate_images"))
        inputs |= {"curation": "curation"}
    if spec.model.weights == "checkpoint":
        inputs |= _CHECKPOINT
    nodes.append(Node(prepare_manifest, inputs, _OUTPUTS, name="prepare_manifest"))
    return Pipeline(nodes, namespace=name, inputs={"data_root"}, parameters={"params:runtime"}, tags=name)


def _labels(name: str, spec: MultiLabelSpec) -> Pipeline:
    inputs = _INPUTS | {"data_sets": "params:data_sets"}
    nodes = []
    if spec.fabrication:
        nodes.append(Node(fabricate_composites, "params:fabrication", "fabricated_images", name="fabricate_images"))
        inputs |= _FABRICATED
    nodes.append(Node(prepare_label_manifest, inputs, _OUTPUTS, name="prepare_manifest"))
    return Pipeline(nodes, namespace=name, inputs={"data_root"}, parameters={"params:runtime"}, tags=name)


def _scenes(name: str, spec: SegmentationSpec) -> Pipeline:
    inputs, nodes = dict(_INPUTS), []
    if spec.fabrication:
        nodes.append(Node(fabricate_scenes, "params:fabrication", "fabricated_images", name="fabricate_images"))
        inputs |= _FABRICATED
    if spec.model.training == "none":
        inputs |= _CHECKPOINT
    nodes.append(Node(prepare_scene_manifest, inputs, _OUTPUTS, name="prepare_manifest"))
    return Pipeline(nodes, namespace=name, inputs={"data_root"}, parameters={"params:runtime"}, tags=name)
