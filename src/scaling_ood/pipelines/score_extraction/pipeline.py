"""The graph of score extraction, of each setting; networks and detectors are namespaces in it.

    <network>.model, manifest -> extract_outputs -> <network>.outputs -> check_quality -> <network>.quality
    outputs and quality of a detector's network -> score_images -> <detector>.scores

A network that is a head on the shared one's frozen backbone reads that one's outputs, where they hold all it needs.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.pipelines.score_extraction.nodes import check_quality, extract_outputs, score_images
from scaling_ood.structure import Setting, setting_specs


def create_pipeline() -> Pipeline:
    """Score extraction of every setting."""
    return sum((_extract(setting) + _score(setting) for setting in setting_specs().values()), Pipeline([]))


def _extract(setting: Setting) -> Pipeline:
    task, spec = setting
    nodes: list[Node] = []
    for name in spec.used_networks:
        inputs = {"manifest": "manifest", "network": f"params:networks.{name}"}
        settings = {"extraction": "params:extraction"}
        shared = {"features": f"{spec.shared}.outputs"} if task.reads_outputs(spec, name) else {}
        needs = task.needs(spec, name)
        extracted = {"model": f"{name}.model", **inputs, **settings, **shared}
        nodes.append(setting.node(extract_outputs, extracted, f"{name}.outputs", owner=name, needs=needs))
        checked = {**inputs, "outputs": f"{name}.outputs"}
        nodes.append(setting.node(check_quality, checked, f"{name}.quality", owner=name))
    return Pipeline(nodes)


def _score(setting: Setting) -> Pipeline:
    nodes = []
    for name, method in setting.spec.methods.items():
        inputs = {
            "outputs": f"{method.network}.outputs",
            "quality": f"{method.network}.quality",
            "manifest": "manifest",
            "detector": f"params:detectors.{name}",
        }
        nodes.append(setting.node(score_images, inputs, f"{name}.scores", owner=name))
    return Pipeline(nodes)
