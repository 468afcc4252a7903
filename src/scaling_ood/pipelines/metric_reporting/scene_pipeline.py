"""The graph of metric reporting for segmentation; it follows that of whole images.

outputs, <detector>.scores -> measure_detector -> <detector>.metrics, <detector>.results
outputs, <detector>.scores -> map_scores -> <detector>.score_maps
results, score_maps -> record_detector -> <detector>.run
all of them -> collect_results -> results, metrics;  draw_score_maps -> score_maps
everything -> write_report -> report, summary

A detector with a network of its own reads its own outputs, accuracy and training run in place of the setting's.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.networks import sources
from scaling_ood.parameters.segmentation import SegmentationSpec
from scaling_ood.pipelines.metric_reporting import scene_maps, scene_nodes
from scaling_ood.structure import detectors_of, own_networks

_READ = ["manifest", "preparation", "outputs", "accuracy", "training_run"]
_MEASURED = [
    "params:model",
    "params:networks",
    "params:extraction",
    "params:detectors",
    "params:reporting",
    "params:identity",
]


def scene_reporting(name: str, spec: SegmentationSpec) -> Pipeline:
    """Metric reporting of one setting."""
    names, own = detectors_of(spec), own_networks(spec)
    detectors = sum((_detector(detector, own.get(detector, "")) for detector in names), Pipeline([]))
    kinds = ("metrics", "results", "score_maps")
    mapped = {f"{d}_{kind}": f"{name}.{d}.{kind}" for d in names for kind in kinds}
    mapped |= {f"{d}_accuracy": f"{name}.{d}.accuracy" for d in own}
    fan_in = Pipeline(_fan_in(names, list(own)), namespace=name, inputs=mapped, tags=name)
    return Pipeline(detectors, namespace=name, tags=name) + fan_in


def _detector(name: str, network: str) -> Pipeline:
    nodes = [
        Node(
            scene_nodes.measure_scene_detector,
            ["scores", "outputs", "manifest", "preparation", *_MEASURED],
            ["metrics", "results"],
            name="measure_detector",
        ),
        Node(
            scene_maps.plan_score_maps,
            ["scores", "outputs", "manifest", "preparation", "params:model", "params:reporting"],
            "score_maps",
            name="map_scores",
        ),
        Node(
            scene_nodes.record_scene_detector,
            [
                "scores",
                "results",
                "score_maps",
                "outputs",
                "accuracy",
                "manifest",
                "preparation",
                "training_run",
                "params:model",
            ],
            "run",
            name="record_detector",
        ),
    ]
    read = sources(name, network, _READ)
    return Pipeline(nodes, namespace=name, inputs=read, parameters={p: p for p in _MEASURED})


def _fan_in(names: list[str], own: list[str]) -> list[Node]:
    data = {"manifest": "manifest", "preparation": "preparation"}
    maps = {f"{name}_score_maps": f"{name}_score_maps" for name in names}
    qualities = {f"{name}_accuracy": f"{name}_accuracy" for name in own}
    tables = {f"{name}_{kind}": f"{name}_{kind}" for name in names for kind in ("metrics", "results")}
    about = {"results": "results", "outputs": "outputs", "accuracy": "accuracy", "model": "model"}
    reporting = {"reporting": "params:reporting"}
    rules = reporting | {"spec": "params:model", "identity": "params:identity"}
    return [
        Node(
            scene_nodes.collect_scene_results, data | reporting | tables, ["results", "metrics"], name="collect_results"
        ),
        Node(scene_nodes.draw_score_maps, data | maps, "score_maps", name="draw_score_maps"),
        Node(
            scene_nodes.write_scene_report,
            data | about | rules | maps | qualities,
            ["report", "summary"],
            name="write_report",
        ),
    ]
