"""The graph of data preparation.

    [fabricate_images] -> fabricated_images -.
                                 data_root --+-> prepare_manifest -> manifest, quarantine, preparation

The first node is there only where the setting has `fabrication`.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.parameters import SettingSpec
from scaling_ood.pipelines.data_preparation.nodes import fabricate_images, prepare_manifest
from scaling_ood.structure import setting_specs


def create_pipeline() -> Pipeline:
    """Data preparation of every setting."""
    return sum((_setting(name, spec) for name, spec in setting_specs().items()), Pipeline([]))


def _setting(name: str, spec: SettingSpec) -> Pipeline:
    inputs = {
        "data_root": "data_root",
        "data_sets": "params:data_sets",
        "data": "params:data",
        "identity": "params:identity",
        "runtime": "params:runtime",
    }
    nodes = []
    if spec.fabrication:
        nodes.append(
            Node(fabricate_images, "params:fabrication", "fabricated_images", name="fabricate_images", tags=name)
        )
        inputs["fabricated"] = "fabricated_images"
    nodes.append(
        Node(prepare_manifest, inputs, ["manifest", "quarantine", "preparation"], name="prepare_manifest", tags=name)
    )
    return Pipeline(nodes, namespace=name, inputs={"data_root"}, parameters={"params:runtime"})
