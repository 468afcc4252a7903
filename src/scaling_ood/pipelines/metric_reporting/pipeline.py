"""The graph of metric reporting.

<detector>.scores -> measure_detector -> <detector>.metrics, <detector>.results -> record_detector -> <detector>.run
all of them -> collect_results -> results, metrics
            -> draw_figures -> roc_curves, score_histograms, low_confidence
outputs, metrics -> compare_granularity -> granularity, dispersal            where there are coarse labels
everything -> write_report -> report, summary

A detector that reads another network than the classifier takes outputs, accuracy and training run from that network.
"""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from scaling_ood.networks import of_networks, sources
from scaling_ood.parameters.multi_class import SettingSpec
from scaling_ood.pipelines.metric_reporting import nodes
from scaling_ood.pipelines.metric_reporting.label_pipeline import label_reporting
from scaling_ood.pipelines.metric_reporting.scene_pipeline import scene_reporting
from scaling_ood.structure import detectors_of, image_settings, label_settings, own_networks, scene_settings

_SHARED = ["outputs", "accuracy", "preparation", "training_run"]
_PARAMETERS = [
    "params:model",
    "params:networks",
    "params:extraction",
    "params:detectors",
    "params:reporting",
    "params:identity",
]


def create_pipeline() -> Pipeline:
    """Metric reporting of every setting."""
    images = (_images(name, spec) for name, spec in image_settings().items())
    labels = (label_reporting(name, spec) for name, spec in label_settings().items())
    scenes = (scene_reporting(name, spec) for name, spec in scene_settings().items())
    return sum((*images, *labels, *scenes), Pipeline([]))


def _images(name: str, spec: SettingSpec) -> Pipeline:
    names, own = detectors_of(spec), own_networks(spec)
    detectors = sum((_detector(detector, own.get(detector, "")) for detector in names), Pipeline([]))
    # Mapped here, where the namespace is added: Kedro warns of dots in the names of a pipeline without one.
    mapped = {f"{d}_{kind}": f"{name}.{d}.{kind}" for d in names for kind in ("scores", "metrics", "results")}
    networks = list(dict.fromkeys(own.values()))
    mapped |= of_networks(name, networks, {f"{network}_accuracy" for network in networks})
    fan_in = Pipeline(_fan_in(names, networks, spec), namespace=name, inputs=mapped, tags=name)
    read = of_networks(name, networks, detectors.inputs())
    return Pipeline(detectors, namespace=name, inputs=read, tags=name) + fan_in


def _detector(name: str, network: str) -> Pipeline:
    measure = update_wrapper(partial(nodes.measure_detector, detector=name), nodes.measure_detector)
    pipeline = [
        Node(
            measure,
            ["scores", "preparation", *_PARAMETERS, "params:options"],
            ["metrics", "results"],
            name="measure_detector",
        ),
        Node(
            nodes.record_detector,
            ["scores", "metrics", "results", *_SHARED, "params:model", "params:reporting", "params:identity"],
            "run",
            name="record_detector",
        ),
    ]
    return Pipeline(
        pipeline,
        namespace=name,
        inputs=sources(name, network, _SHARED),
        parameters={**{p: p for p in _PARAMETERS}, "params:options": f"params:detectors.{name}"},
    )


def _fan_in(names: list[str], networks: list[str], spec: SettingSpec) -> list[Node]:
    """What needs all detectors of the setting; their products by plain names, such as `msp_scores`."""
    scores = {f"{name}_scores": f"{name}_scores" for name in names}
    tables = {f"{name}_{kind}": f"{name}_{kind}" for name in names for kind in ("metrics", "results")}
    data = {"preparation": "preparation", "spec": "params:model"}
    rules = {"reporting": "params:reporting"}
    images = {"manifest": "manifest", "outputs": "outputs"}
    shown = {"roc_curves": "roc_curves", "score_histograms": "score_histograms"}
    shown |= {f"{network}_accuracy": f"{network}_accuracy" for network in networks}
    pipeline = [
        Node(nodes.collect_results, data | rules | scores | tables, ["results", "metrics"], name="collect_results"),
        Node(
            nodes.draw_figures,
            data | images | rules | {name: f"{name}_scores" for name in names},
            ["roc_curves", "score_histograms", "low_confidence"],
            name="draw_figures",
        ),
    ]
    if "coarse" in spec.model.labels:
        pipeline.append(
            Node(
                nodes.compare_granularity,
                data | {"outputs": "outputs", "metrics": "metrics"},
                ["granularity", "dispersal"],
                name="compare_granularity",
            )
        )
        shown |= {"granularity": "granularity", "dispersal": "dispersal"}
    about = {"results": "results", "accuracy": "accuracy", "model": "model", "identity": "params:identity"}
    pipeline.append(
        Node(nodes.write_report, data | images | rules | about | shown, ["report", "summary"], name="write_report")
    )
    return pipeline
