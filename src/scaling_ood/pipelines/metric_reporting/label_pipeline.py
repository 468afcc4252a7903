"""The graph of metric reporting for multi-label images; it follows that of whole images.

<detector>.scores -> measure_detector -> <detector>.metrics, <detector>.results -> record_detector -> <detector>.run
all of them -> collect_results -> results, metrics
            -> draw_figures -> roc_curves, score_histograms
everything -> write_report -> report, summary
"""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from scaling_ood.parameters.multi_label import MultiLabelSpec
from scaling_ood.pipelines.metric_reporting import label_nodes, nodes
from scaling_ood.structure import detectors_of

_SHARED = ["outputs", "accuracy", "preparation", "training_run"]
_PARAMETERS = ["params:model", "params:extraction", "params:detectors", "params:reporting", "params:identity"]


def label_reporting(name: str, spec: MultiLabelSpec) -> Pipeline:
    """Metric reporting of one setting."""
    names = detectors_of(spec)
    detectors = sum((_detector(detector) for detector in names), Pipeline([]))
    mapped = {f"{d}_{kind}": f"{name}.{d}.{kind}" for d in names for kind in ("scores", "metrics", "results")}
    fan_in = Pipeline(_fan_in(names), namespace=name, inputs=mapped, tags=name)
    return Pipeline(detectors, namespace=name, tags=name) + fan_in


def _detector(name: str) -> Pipeline:
    function = label_nodes.measure_label_detector
    measure = update_wrapper(partial(function, detector=name), function)
    nodes = [
        Node(
            measure,
            ["scores", "preparation", *_PARAMETERS, "params:options"],
            ["metrics", "results"],
            name="measure_detector",
        ),
        Node(
            label_nodes.record_label_detector,
            ["scores", "results", *_SHARED, "params:model", "params:reporting", "params:identity"],
            "run",
            name="record_detector",
        ),
    ]
    parameters = {**{p: p for p in _PARAMETERS}, "params:options": f"params:detectors.{name}"}
    return Pipeline(nodes, namespace=name, inputs=set(_SHARED), parameters=parameters)


def _fan_in(names: list[str]) -> list[Node]:
    scores = {f"{name}_scores": f"{name}_scores" for name in names}
    tables = {f"{name}_{kind}": f"{name}_{kind}" for name in names for kind in ("metrics", "results")}
    data = {"preparation": "preparation", "spec": "params:model", "reporting": "params:reporting"}
    about = {"results": "results", "outputs": "outputs", "accuracy": "accuracy", "model": "model"}
    shown = {"roc_curves": "roc_curves", "score_histograms": "score_histograms", "identity": "params:identity"}
    return [
        Node(nodes.collect_results, data | scores | tables, ["results", "metrics"], name="collect_results"),
        Node(
            label_nodes.draw_label_figures,
            data | {name: f"{name}_scores" for name in names},
            ["roc_curves", "score_histograms"],
            name="draw_figures",
        ),
        Node(label_nodes.write_label_report, data | about | shown, ["report", "summary"], name="write_report"),
    ]
