"""The graph of score extraction, of each setting; networks and detectors are namespaces in it.

    <network>.model, manifest -> extract_outputs -> <network>.outputs -> check_quality -> <network>.quality
    outputs and quality of a detector's network -> score_images -> <detector>.scores

With `extraction.keep: scores` the outputs are those of the fit images alone, and the scores come with the pass:

    <network>.model, <network>.outputs, manifest -> pass_and_score -> <network>.scored
    outputs, scored and quality of a detector's network -> collect_scores -> <detector>.scores

A network that is a head on the shared one's frozen backbone reads that one's outputs, where they hold all it needs.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.pipelines.score_extraction.nodes import (
    check_quality,
    collect_scores,
    extract_outputs,
    pass_and_score,
    score_images,
)
from scaling_ood.products.plans import Planned
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
        if spec.extraction.keep == "scores":
            passed = {"model": f"{name}.model", **checked, **settings}
            here = {own.name: own for own in spec.methods.values() if own.network == name and not own.gap}
            nodes.append(
                setting.node(pass_and_score, passed, f"{name}.scored", owner=name, needs=needs, detectors=here)
            )
            checked["scored"] = f"{name}.scored"
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
        function: Planned = score_images
        if setting.spec.extraction.keep == "scores":
            function, inputs["scored"] = collect_scores, f"{method.network}.scored"
        nodes.append(setting.node(function, inputs, f"{name}.scores", owner=name))
    return Pipeline(nodes)
