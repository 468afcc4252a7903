"""The graph of metric reporting for segmentation; it follows that of whole images.

outputs, <detector>.scores -> measure_scene_detector -> <detector>.metrics, <detector>.results
results -> record_scene_detector -> <detector>.run
all of them -> collect_scene_results -> results, metrics;  draw_score_maps -> score_maps
everything -> write_scene_report -> report, summary
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.pipelines.metric_reporting import scene_nodes
from scaling_ood.scene_parameters import SegmentationSpec
from scaling_ood.structure import detectors_of

_SHARED = {"outputs", "manifest", "preparation", "accuracy", "training_run"}
_RULES = ["params:model", "params:reporting", "params:identity"]
_MEASURED = ["params:model", "params:extraction", "params:detectors", "params:reporting", "params:identity"]


def scene_reporting(name: str, spec: SegmentationSpec) -> Pipeline:
    """Metric reporting of one setting."""
    names = detectors_of(spec)
    detectors = sum((_detector(detector) for detector in names), Pipeline([]))
    mapped = {f"{d}_{kind}": f"{name}.{d}.{kind}" for d in names for kind in ("scores", "metrics", "results")}
    fan_in = Pipeline(_fan_in(names), namespace=name, inputs=mapped, tags=name)
    return Pipeline(detectors, namespace=name, tags=name) + fan_in


def _detector(name: str) -> Pipeline:
    nodes = [
        Node(
            scene_nodes.measure_scene_detector,
            ["scores", "outputs", "manifest", "preparation", *_MEASURED],
            ["metrics", "results"],
            name="measure_detector",
        ),
        Node(
            scene_nodes.record_scene_detector,
            ["scores", "results", "outputs", "accuracy", "preparation", "training_run", *_RULES],
            "run",
            name="record_detector",
        ),
    ]
    return Pipeline(nodes, namespace=name, inputs=_SHARED, parameters={p: p for p in _MEASURED})


def _fan_in(names: list[str]) -> list[Node]:
    data = {"manifest": "manifest", "preparation": "preparation", "reporting": "params:reporting"}
    scores = {name: f"{name}_scores" for name in names}
    tables = {f"{name}_{kind}": f"{name}_{kind}" for name in names for kind in ("metrics", "results")}
    outputs = {"outputs": "outputs"}
    about = {"results": "results", "accuracy": "accuracy", "model": "model"}
    rules = {"spec": "params:model", "identity": "params:identity"}
    return [
        Node(scene_nodes.collect_scene_results, data | tables, ["results", "metrics"], name="collect_results"),
        Node(scene_nodes.draw_score_maps, data | outputs | scores, "score_maps", name="draw_score_maps"),
        Node(
            scene_nodes.write_scene_report,
            data | outputs | about | rules | scores,
            ["report", "summary"],
            name="write_report",
        ),
    ]
