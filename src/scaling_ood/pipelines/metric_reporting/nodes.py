"""Nodes of metric reporting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from scaling_ood.parameters.common import ReportingSpec, RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.keys import keyed
from scaling_ood.products.plans import Plan, divided, planned
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.records import RunRecord
from scaling_ood.products.scores import Measured, Quality, Scores
from scaling_ood.products.stored import StoredShards, Tensors
from scaling_ood.report import interval_figures, results_text
from scaling_ood.tasks import Task


def _all_images(given: Mapping[str, Any]) -> Any:
    return given["manifest"].contents(given["manifest"].preparation.digests)


def _methods(given: Mapping[str, Any]) -> Any:
    return {name: method.what_matters() for name, method in given["methods"].items()}


def _training_runs(given: Mapping[str, Any]) -> Any:
    return {name: training["run_id"] for name, training in given["trainings"].items()}


@divided(2, manifest=_all_images, silent=["reporting", "outputs"])
def measure_scores(
    task: Task,
    scores: Scores,
    manifest: Manifest,
    reporting: ReportingSpec,
    runtime: RuntimeSpec,
    detector: Method | None = None,
    outputs: StoredShards | None = None,
) -> Plan[Tensors]:
    """Metrics of one detector, and its rows of the results table.

    Args:
        task: Of the setting.
        scores: Of the detector.
        manifest: All images.
        reporting: Conventions.
        runtime: Where scores are made, if they are made here.
        detector: Itself, and
        outputs: what it reads, where scores are made when they are measured.
    """
    return task.measure(scores, manifest, reporting, runtime, detector, outputs)


@planned(manifest=_all_images, silent=["manifest", "reporting"])
def collect_results(
    task: Task, manifest: Manifest, reporting: ReportingSpec, **by_detector: Scores | Measured
) -> pd.DataFrame:
    """The setting's results table, with the detectors that are tied with the best marked.

    Args:
        task: Of the setting.
        manifest: All images.
        reporting: Level of the tests.
        by_detector: `<detector>_measured`, and for images `<detector>_scores`, in the order of the table.
    """
    scores, measured = _of_kind("_scores", by_detector), _of_kind("_measured", by_detector)
    results = pd.concat([one.results for one in measured.values()], ignore_index=True)
    return task.mark(results, scores, measured, manifest, reporting)


@planned()
def collect_metrics(**by_detector: Measured) -> pd.DataFrame:
    """Every seed's metrics; of pixels every scene too.

    Args:
        by_detector: `<detector>_measured`, in the order of the table.
    """
    measured: dict[str, Measured] = _of_kind("_measured", by_detector)
    return pd.concat([one.metrics.assign(detector=name) for name, one in measured.items()], ignore_index=True)


@keyed(reporting=lambda _: None)
def map_scores(
    task: Task,
    methods: Mapping[str, Method],
    manifest: Manifest,
    reporting: ReportingSpec,
    runtime: RuntimeSpec,
    **products: Any,
) -> Plan[Tensors]:
    """Plan the score maps of some scenes, or of all, by every detector that has a meaning.

    Args:
        task: Of the setting.
        methods: Detectors that are on.
        manifest: All scenes.
        reporting: How many scenes are shown, and whether all are kept.
        runtime: Where they are made.
        products: `<detector>_scores`, and `<network>_outputs`.
    """
    present = [name for name, scores in _of_kind("_scores", products).items() if not scores.gap]
    chosen = {name: methods[name] for name in present}
    return task.plan_maps(chosen, _of_kind("_outputs", products), manifest, reporting, runtime)


@planned(manifest=_all_images, methods=_methods)
def draw_report(
    task: Task,
    methods: Mapping[str, Method],
    results: pd.DataFrame,
    manifest: Manifest,
    quarantine: pd.DataFrame,
    reporting: ReportingSpec,
    metrics: pd.DataFrame | None = None,
    **products: Any,
) -> dict[str, Any]:
    """The files of the report: one HTML page, the table as text, and each figure.

    Args:
        task: Of the setting.
        methods: Detectors that are on.
        results: The setting's results table.
        manifest: All images.
        quarantine: Images and files that are not used, with the reason.
        reporting: Caveats and conventions.
        metrics: Of every seed, where several networks are compared.
        products: `<detector>_scores`, `<network>_outputs`, `quality` of the shared network, and `score_maps` if any.
    """
    scores, outputs = _of_kind("_scores", products), _of_kind("_outputs", products)
    quality: Quality = products["quality"]
    maps = products.get("score_maps")
    report, figures = task.report(methods, results, metrics, manifest, reporting, scores, outputs, quality, maps)
    overview = dict(zip(["overview"], interval_figures(results).values(), strict=False))
    tables = {"report.html": report, "results.txt": results_text(results), "quarantine": quarantine}
    return {**tables, **overview, **figures}


@planned(manifest=_all_images, trainings=_training_runs)
def record_runs(
    task: Task,
    results: pd.DataFrame,
    manifest: Manifest,
    reporting: ReportingSpec,
    trainings: Mapping[str, Any],
    **products: Any,
) -> dict[str, RunRecord]:
    """What the tracked run of each detector shows: flat parameters, metrics, curves, its table.

    Args:
        task: Of the setting.
        results: The setting's results table.
        manifest: All images.
        reporting: Conventions.
        trainings: Network to its tracked training.
        products: `<detector>_scores`, and `score_maps` if any.
    """
    scores, maps = _of_kind("_scores", products), products.get("score_maps")
    runs = {}
    for name, one in scores.items():
        own = results[results["detector"] == name]
        run_id = str(trainings.get(one.about["network"], {}).get("run_id", ""))
        runs[name] = task.run(one, own, manifest, reporting, run_id, maps)
    return runs


def _of_kind(ending: str, products: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removesuffix(ending): value for name, value in products.items() if name.endswith(ending)}
