"""Nodes of metric reporting for multi-label images."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.label_preparation import label_outputs_key, label_preprocessing
from scaling_ood.models import architecture
from scaling_ood.parameters.common import IdentitySpec, ReportingSpec
from scaling_ood.parameters.multi_label import LabelExtractionSpec, MultiLabelModelSpec
from scaling_ood.pipelines.extraction import Detectors, fields_for
from scaling_ood.pipelines.metric_reporting.facts import (
    convention_facts,
    data_facts,
    extraction_facts,
    shared_parameters,
    shared_tags,
    shared_values,
    warning_facts,
)
from scaling_ood.pipelines.metric_reporting.figures import detector_figures, score_figures, score_illustrations
from scaling_ood.pipelines.metric_reporting.tables import measure_scores, summarise
from scaling_ood.pipelines.score_extraction.label_nodes import LABEL_MADE
from scaling_ood.preparation import Preparation, refuse_stale, scores_key
from scaling_ood.records import RunRecord
from scaling_ood.report import (
    ReportContent,
    render_report,
    results_text,
)
from scaling_ood.scores import Scores

Record = dict[str, Any]


def measure_label_detector(
    scores: Scores,
    preparation: Record,
    spec: MultiLabelModelSpec,
    extraction: LabelExtractionSpec,
    detectors: Detectors,
    reporting: ReportingSpec,
    identity: IdentitySpec,
    options: Record,
    detector: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of one detector per seed, OOD set and positive class, and its rows of the results table.

    Raises:
        StaleProductError: The scores were made from other inputs than the present ones.
    """
    prepared = Preparation.model_validate(preparation)
    key = label_outputs_key(prepared, spec, extraction, fields_for(detectors, LABEL_MADE))
    refuse_stale(scores, scores_key(key, detector, options), f"{identity.setting}.{detector}.scores")
    metrics = measure_scores(scores, prepared, spec, reporting)
    return metrics, summarise(metrics, scores, prepared, spec, reporting, identity)


def record_label_detector(
    scores: Scores,
    results: pd.DataFrame,
    outputs: StoredShards,
    accuracy: Record,
    preparation: Record,
    training_run: Record,
    spec: MultiLabelModelSpec,
    reporting: ReportingSpec,
    identity: IdentitySpec,
) -> RunRecord:
    """What the detector's tracked run shows; parameters and metrics as in the other settings."""
    prepared = Preparation.model_validate(preparation)
    values = {"map": accuracy["map"], **shared_values(scores, results, outputs, prepared, spec, reporting)}
    parameters = {
        **shared_parameters(scores, outputs, prepared, spec, reporting),
        "training": spec.training,
        "weights": _weights(spec),
        "label_smoothing": 0.0,
        "input_px": label_preprocessing(spec, prepared).crop_px,
    }
    tags = shared_tags(scores, outputs, training_run, spec, identity)
    figures = detector_figures(scores, results, prepared, spec, reporting)
    name = f"{identity.setting}.{scores.detector}"
    return RunRecord(name, tags, parameters, values, {}, figures, {"results": results})


def draw_label_figures(
    preparation: Record, spec: MultiLabelModelSpec, reporting: ReportingSpec, **by_detector: Scores
) -> tuple[go.Figure, go.Figure]:
    """ROC curves and score histograms of the first seed."""
    figures = score_figures(list(by_detector.values()), Preparation.model_validate(preparation), spec, reporting)
    return figures["roc"], figures["scores"]


def write_label_report(
    results: pd.DataFrame,
    outputs: StoredShards,
    accuracy: Record,
    preparation: Record,
    model: StoredModel,
    spec: MultiLabelModelSpec,
    reporting: ReportingSpec,
    identity: IdentitySpec,
    roc_curves: go.Figure,
    score_histograms: go.Figure,
) -> tuple[str, str]:
    """The report as one HTML file, and the table as text."""
    prepared = Preparation.model_validate(preparation)
    content = ReportContent(
        benchmark=identity.benchmark,
        setting=identity.setting,
        results=results,
        facts=_facts(prepared, model, spec, outputs, accuracy, reporting),
        caveats=reporting.caveats,
        figures=score_illustrations(roc_curves, score_histograms),
        tie_level=reporting.tie_level,
    )
    return render_report(content), results_text(results)


def _facts(
    prepared: Preparation,
    model: StoredModel,
    spec: MultiLabelModelSpec,
    outputs: StoredShards,
    accuracy: Record,
    reporting: ReportingSpec,
) -> dict[str, dict[str, object]]:
    preprocessing = label_preprocessing(spec, prepared)
    shape = "whole image squashed" if spec.squash else f"resize {preprocessing.resize_px} px, centre crop"
    quality = {
        f"mAP on {accuracy['images'][name]:,} labelled {name} images": f"{value:.1%}"
        for name, value in accuracy["by_set"].items()
    }
    return {
        "Data": data_facts(prepared, f"{len(prepared.classes)}: {', '.join(prepared.classes)}"),
        "Model": {
            "Architecture": f"{spec.architecture}, hidden layer of {spec.width}, dropout {spec.dropout:g}",
            "Weights": _weights(spec),
            "Training": spec.training,
            "Seeds": ", ".join(map(str, spec.seeds)),
            "Epochs": f"{spec.epochs}, the best of them by mAP on the fit images",
            **quality,
            **warning_facts(accuracy),
            "Averaging of precision": accuracy["averaging"],
            "Least mAP accepted": f"{accuracy['least_map']:.1%}",
            "Preprocessing": f"{shape} {preprocessing.crop_px} px ({preprocessing.interpolation}), "
            f"mean {preprocessing.mean}, std {preprocessing.std}",
            "Model key": model.key,
        },
        "Extraction": extraction_facts(outputs),
        "Conventions": convention_facts(reporting),
    }


def _weights(spec: MultiLabelModelSpec) -> str:
    kept = "frozen, two linear layers trained here" if spec.training == "head" else "where training starts from"
    return f"{architecture(spec.architecture).weights}; {kept}"
