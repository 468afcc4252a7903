"""The graph of data preparation, of each setting.

    [fabricate_images] -> fabricated_images -.
             data_root --------------------- +-> prepare_manifest -> manifest, quarantine
                 [curate_images] -> curation -'

The nodes in brackets are there only where images are rendered, or a data set is curated.
"""

from __future__ import annotations

from kedro.pipeline import Pipeline

from scaling_ood.pipelines.data_preparation.nodes import curate_images, fabricate_images, prepare_manifest
from scaling_ood.structure import Setting, setting_specs


def create_pipeline() -> Pipeline:
    """Data preparation of every setting."""
    return sum((_prepare(setting) for setting in setting_specs().values()), Pipeline([]))


def _prepare(setting: Setting) -> Pipeline:
    inputs = {"data_root": "data_root", "data": "params:data"}
    nodes = []
    if setting.spec.fabrication:
        nodes.append(setting.node(fabricate_images, {"fabrication": "params:fabrication"}, "fabricated_images"))
        inputs |= {"fabricated": "fabricated_images"}
    if setting.spec.data.curated():
        nodes.append(setting.node(curate_images, inputs, "curation"))
        inputs |= {"curation": "curation"}
    inputs |= {"benchmark": "params:benchmark"}
    nodes.append(setting.node(prepare_manifest, inputs, ["manifest", "quarantine"]))
    return Pipeline(nodes)
