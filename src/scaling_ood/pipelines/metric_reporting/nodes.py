"""Nodes of metric reporting."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.parameters.common import IdentitySpec, ReportingSpec
from scaling_ood.parameters.multi_class import ClassifierNetworksSpec, ExtractionSpec, ModelSpec
from scaling_ood.pipelines.extraction import Detectors
from scaling_ood.pipelines.metric_reporting.examples import low_confidence_examples
from scaling_ood.pipelines.metric_reporting.facts import detector_run, report_facts
from scaling_ood.pipelines.metric_reporting.figures import detector_figures, score_figures, score_illustrations
from scaling_ood.pipelines.metric_reporting.granularity import compare_labels
from scaling_ood.pipelines.metric_reporting.tables import mark_ties, measure_scores, summarise
from scaling_ood.pipelines.score_extraction.nodes import detector_outputs_key
from scaling_ood.preparation import Preparation, TrainedModel, refuse_stale, scores_key
from scaling_ood.records import RunRecord
from scaling_ood.report import (
    Granularity,
    Illustration,
    ReportContent,
    dispersal_figure,
    render_report,
    results_text,
)
from scaling_ood.scores import Scores


def measure_detector(
    scores: Scores,
    preparation: dict[str, Any],
    spec: ModelSpec,
    networks: ClassifierNetworksSpec,
    extraction: ExtractionSpec,
    detectors: Detectors,
    reporting: ReportingSpec,
    identity: IdentitySpec,
    options: dict[str, Any],
    detector: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of one detector per classifier and OOD set, and its rows of the results table.

    Raises:
        StaleProductError: The scores were made from other inputs than the present ones.
    """
    prepared = Preparation.model_validate(preparation)
    key = detector_outputs_key(prepared, spec, networks, extraction, detectors, detector)
    refuse_stale(scores, scores_key(key, detector, options), f"{identity.setting}.{detector}.scores")
    metrics = measure_scores(scores, prepared, spec, reporting)
    return metrics, summarise(metrics, scores, prepared, spec, reporting, identity)


def record_detector(
    scores: Scores,
    metrics: pd.DataFrame,
    results: pd.DataFrame,
    outputs: StoredShards,
    accuracy: dict[str, Any],
    preparation: dict[str, Any],
    training_run: dict[str, Any],
    spec: ModelSpec,
    reporting: ReportingSpec,
    identity: IdentitySpec,
) -> RunRecord:
    """What the detector's tracked run shows: flat parameters, metrics per OOD set and mean, curves, its table."""
    prepared = Preparation.model_validate(preparation)
    run = detector_run(scores, metrics, results, outputs, accuracy, prepared, training_run, spec, reporting, identity)
    figures = detector_figures(scores, results, prepared, spec, reporting)
    return RunRecord(run.name, run.tags, run.parameters, run.metrics, {}, figures, {"results": results})


def collect_results(
    preparation: dict[str, Any], spec: TrainedModel, reporting: ReportingSpec, **by_detector: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The setting's results table, with the detectors that are tied with the best marked; and every seed's metrics.

    Args:
        preparation: Record of the data.
        spec: The model.
        reporting: Level of the tests, positive class.
        by_detector: `<detector>_scores`, `<detector>_metrics` and `<detector>_results`, in the order of the table.
    """
    prepared = Preparation.model_validate(preparation)
    names = [name.removesuffix("_scores") for name in by_detector if name.endswith("_scores")]
    results = pd.concat([by_detector[f"{name}_results"] for name in names], ignore_index=True)
    metrics = pd.concat([by_detector[f"{name}_metrics"].assign(detector=name) for name in names], ignore_index=True)
    marked = mark_ties(results, [by_detector[f"{name}_scores"] for name in names], prepared, spec, reporting)
    return marked, metrics


def draw_figures(
    preparation: dict[str, Any],
    manifest: pd.DataFrame,
    outputs: StoredShards,
    spec: ModelSpec,
    reporting: ReportingSpec,
    **by_detector: Scores,
) -> tuple[go.Figure, go.Figure, Figure]:
    """ROC curves, score histograms, and in-distribution images of low confidence (Figure 3)."""
    prepared = Preparation.model_validate(preparation)
    figures = score_figures(list(by_detector.values()), prepared, spec, reporting)
    examples = low_confidence_examples(outputs, manifest, prepared, spec, reporting.examples)
    return figures["roc"], figures["scores"], dispersal_figure(examples)


def compare_granularity(
    outputs: StoredShards, preparation: dict[str, Any], metrics: pd.DataFrame, spec: ModelSpec
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fine against coarse labels on the same images: metrics of each detector, and the dispersal of each classifier."""
    prepared = Preparation.model_validate(preparation)
    return compare_labels(outputs, prepared, metrics, spec)


def write_report(
    results: pd.DataFrame,
    outputs: StoredShards,
    accuracy: dict[str, Any],
    preparation: dict[str, Any],
    manifest: pd.DataFrame,
    model: StoredModel,
    spec: ModelSpec,
    reporting: ReportingSpec,
    identity: IdentitySpec,
    **others: Any,
) -> tuple[str, str]:
    """The report as one HTML file, and the table as text.

    Args:
        results: The setting's results table.
        outputs: For device, precision and throughput.
        accuracy: Of the model on the in-distribution test.
        preparation: Record of the data.
        manifest: All images.
        model: The trained or published model.
        spec: Its parameters.
        reporting: Caveats and conventions.
        identity: Setting and benchmark.
        others: `roc_curves`, `score_histograms`; the two tables of the granularity, where there are any; and
            `<network>_accuracy` of the networks that single detectors read.
    """
    prepared = Preparation.model_validate(preparation)
    granularity = None
    if "granularity" in others:
        granularity = Granularity(others["granularity"], others["dispersal"])
    accuracies = {name.removesuffix("_accuracy"): value for name, value in others.items() if name.endswith("_accuracy")}
    examples = low_confidence_examples(outputs, manifest, prepared, spec, reporting.examples)
    shown = {
        **score_illustrations(others["roc_curves"], others["score_histograms"]),
        "In-distribution images of low confidence": Illustration(
            dispersal_figure(examples),
            "Test images with the lowest maximum softmax probability, one per class (the paper, Figure 3). Where "
            "probability is spread among look-alike classes, MSP calls a familiar image doubtful; the logits tell "
            "whether its best class is unfamiliar too.",
        ),
    }
    content = ReportContent(
        benchmark=identity.benchmark,
        setting=identity.setting,
        results=results,
        facts=report_facts(prepared, model, spec, outputs, accuracy, reporting, accuracies),
        caveats=reporting.caveats,
        figures=shown,
        granularity=granularity,
        tie_level=reporting.tie_level,
    )
    return render_report(content), results_text(results)
