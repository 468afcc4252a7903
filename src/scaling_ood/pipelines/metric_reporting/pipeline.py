"""The graph of metric reporting, of each setting; a detector is a namespace in it.

    <detector>.scores -> measure_scores -> <detector>.measured
    all of them -> collect_results -> results
                -> collect_metrics -> metrics
                -> [map_scores -> score_maps]
                -> draw_report -> report
                -> record_runs -> runs

Scores of pixels are made when they are measured, so that `measure_scores` reads outputs too, and maps are stored.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.pipelines.metric_reporting.nodes import (
    collect_metrics,
    collect_results,
    draw_report,
    map_scores,
    measure_scores,
    record_runs,
)
from scaling_ood.structure import Setting, setting_specs


def create_pipeline() -> Pipeline:
    """Metric reporting of every setting."""
    return sum((_measure(setting) + _fan_in(setting) for setting in setting_specs().values()), Pipeline([]))


def _measure(setting: Setting) -> Pipeline:
    nodes = []
    for name, method in setting.spec.methods.items():
        inputs = {"scores": f"{name}.scores", "manifest": "manifest", "reporting": "params:reporting"}
        if setting.spec.dense:
            inputs |= {"outputs": f"{method.network}.outputs", "detector": f"params:detectors.{name}"}
        nodes.append(setting.node(measure_scores, inputs, f"{name}.measured", owner=name))
    return Pipeline(nodes)


def _fan_in(setting: Setting) -> Pipeline:
    """What needs all detectors of the setting; their products by plain names, such as `msp_scores`."""
    task, spec = setting
    rules = {"manifest": "manifest", "reporting": "params:reporting"}
    scores = {f"{name}_scores": f"{name}.scores" for name in spec.methods}
    measured = {f"{name}_measured": f"{name}.measured" for name in spec.methods}
    networks = task.shown_networks(spec)
    tables = {"results": "results", **({"metrics": "metrics"} if len(networks) > 1 else {})}
    maps = {"score_maps": "score_maps"} if spec.dense else {}
    # Marks of pixels come from what was measured in each scene, those of images from their scores.
    marked = measured if spec.dense else {**scores, **measured}
    nodes: list[Node] = [
        setting.node(collect_results, {**rules, **marked}, "results"),
        setting.node(collect_metrics, measured, "metrics"),
    ]
    if spec.dense:
        read = {f"{name}_outputs": f"{name}.outputs" for name in spec.used_networks}
        nodes.append(setting.node(map_scores, {**rules, **scores, **read}, "score_maps", methods=spec.methods))
    shown = {f"{name}_outputs": f"{name}.outputs" for name in networks}
    told = {**tables, **rules, **scores, **shown, "quality": f"{spec.shared}.quality", **maps}
    told |= {"quarantine": "quarantine"}
    nodes.append(setting.node(draw_report, told, "report", methods=spec.methods))
    recorded = {"results": "results", **rules, "trainings": "trainings", **scores, **maps}
    nodes.append(setting.node(record_runs, recorded, "runs"))
    return Pipeline(nodes)
