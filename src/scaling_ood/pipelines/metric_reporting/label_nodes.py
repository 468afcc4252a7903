"""Nodes of metric reporting for multi-label images."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.label_parameters import LabelExtractionSpec, MultiLabelModelSpec
from scaling_ood.label_preparation import label_outputs_key, label_preprocessing
from scaling_ood.models import architecture
from scaling_ood.parameters import IdentitySpec, ReportingSpec
from scaling_ood.pipelines.extraction import Detectors, fields_for
from scaling_ood.pipelines.metric_reporting.tables import mark_ties, measure_scores, summarise
from scaling_ood.pipelines.score_extraction.label_nodes import LABEL_MADE
from scaling_ood.preparation import Preparation, refuse_stale, scores_key
from scaling_ood.records import METRICS, RunRecord
from scaling_ood.report import (
    Illustration,
    ReportContent,
    histogram_figure,
    render_report,
    results_text,
    roc_figure,
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
) -> RunRecord:
    """What the detector's tracked run shows; parameters and metrics as in the other settings."""
    prepared, row = Preparation.model_validate(preparation), results.iloc[0]
    first = reporting.positive_classes[0]
    values: dict[str, float] = {"map": accuracy["map"]}
    for one in results[results["auroc"].notna()].to_dict("records"):
        ending = "" if one["positive_class"] == first else f".{one['positive_class']}_positive"
        values |= {f"{metric}.{one['ood_set']}{ending}": one[metric] for metric in METRICS}
    values |= scores.diagnostics.get(prepared.variants(spec)[0].name, {})
    values["distinct_scores"] = results["distinct_scores"].min()
    values["extraction_images_per_second"] = outputs.items_per_second
    values["scoring_images_per_second"] = scores.images_per_second
    tags = {
        "kind": "detector",
        "setting": row["setting"],
        "benchmark": row["benchmark"],
        "detector": scores.detector,
        "model": spec.architecture,
        "training_run": str(training_run.get("run_id", "")),
        "device": str(outputs.about["device"]),
        "gap": scores.gaps.get("fine", ""),
        "scores_key": scores.key,
    }
    parameters = {
        "in_dist": prepared.in_dist,
        "ood": ";".join(prepared.ood),
        "detector": scores.detector,
        **{f"detector.{name}": value for name, value in scores.options.items()},
        "model": spec.architecture,
        "training": spec.training,
        "weights": _weights(spec),
        "labels": "fine",
        "seeds": ",".join(map(str, spec.seeds)),
        "label_smoothing": 0.0,
        "input_px": label_preprocessing(spec).crop_px,
        "precision": outputs.about["precision"],
        "positive_class": reporting.positive_class,
        "fpr_rule": reporting.fpr_rule,
        "data_seed": prepared.seed,
        "fit_images": prepared.images["fit"],
        "test_images": prepared.images["test"],
        "fit_digest": prepared.digests["fit"],
        "test_digest": prepared.digests["test"],
    }
    figures = {} if scores.gaps else _figures({scores.detector: scores.first(spec)}, prepared, reporting)
    name = f"{row['setting']}.{scores.detector}"
    return RunRecord(name, tags, parameters, values, {}, figures, {"results": results})


def collect_label_results(
    preparation: Record, spec: MultiLabelModelSpec, reporting: ReportingSpec, **by_detector: Any
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


def draw_label_figures(
    preparation: Record, spec: MultiLabelModelSpec, reporting: ReportingSpec, **by_detector: Scores
) -> tuple[go.Figure, go.Figure]:
    """ROC curves and score histograms of the first seed."""
    frames = {one.detector: one.first(spec) for one in by_detector.values() if not one.gaps}
    figures = _figures(frames, Preparation.model_validate(preparation), reporting)
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
        figures={
            "ROC curves": Illustration(roc_curves, "Exact curves; the dotted line is 95 % recall."),
            "Scores": Illustration(
                score_histograms, "In-distribution test images against each OOD set; higher = more anomalous."
            ),
        },
        tie_level=reporting.tie_level,
    )
    return render_report(content), results_text(results)


def _figures(frames: dict[str, pd.DataFrame], prepared: Preparation, reporting: ReportingSpec) -> dict[str, go.Figure]:
    return {
        "roc": roc_figure(frames, prepared.ood, positive_class=reporting.positive_classes[0]),
        "scores": histogram_figure(frames, prepared.ood),
    }


def _facts(
    prepared: Preparation,
    model: StoredModel,
    spec: MultiLabelModelSpec,
    outputs: StoredShards,
    accuracy: Record,
    reporting: ReportingSpec,
) -> dict[str, dict[str, object]]:
    preprocessing = label_preprocessing(spec)
    shape = "whole image squashed" if spec.squash else f"resize {preprocessing.resize_px} px, centre crop"
    quality = {
        f"mAP on {accuracy['images'][name]:,} labelled {name} images": f"{value:.1%}"
        for name, value in accuracy["by_set"].items()
    }
    return {
        "Data": {
            "In-distribution": prepared.in_dist,
            "Classes": f"{len(prepared.classes)}: {', '.join(prepared.classes)}",
            **{
                f"Images for {role}": f"{prepared.images[role]:,} (digest {prepared.digests[role]})"
                for role in ("train", "fit", "test")
            },
            **{f"OOD {name}": f"{prepared.images[name]:,} ({prepared.sources[name]})" for name in prepared.ood},
            "Unreadable images left out": prepared.unreadable,
            "Seed of the draws": prepared.seed,
        },
        "Model": {
            "Architecture": f"{spec.architecture}, hidden layer of {spec.width}, dropout {spec.dropout:g}",
            "Weights": _weights(spec),
            "Training": spec.training,
            "Seeds": ", ".join(map(str, spec.seeds)),
            "Epochs": f"{spec.epochs}, the best of them by mAP on the fit images",
            **quality,
            "Averaging of precision": accuracy["averaging"],
            "Least mAP accepted": f"{accuracy['least_map']:.1%}",
            "Preprocessing": f"{shape} {preprocessing.crop_px} px ({preprocessing.interpolation}), "
            f"mean {preprocessing.mean}, std {preprocessing.std}",
            "Model key": model.key,
        },
        "Extraction": {
            "Device": outputs.about["device"],
            "Precision": outputs.about["precision"],
            "Throughput": f"{outputs.items_per_second:,.0f} images/s, all detectors together",
            "PyTorch": outputs.about["torch"],
        },
        "Conventions": {
            "Positive class": ", then ".join(reporting.positive_classes),
            "FPR95": f"'{reporting.fpr_rule}' rule",
            "AUPR": "step-wise average precision",
            "Ties": f"paired DeLong test (AUROC), paired bootstrap of {reporting.bootstrap_replicates:,} replicates "
            f"(AUPR, FPR95), level {reporting.tie_level:g}, not corrected for the number of detectors",
        },
    }


def _weights(spec: MultiLabelModelSpec) -> str:
    kept = "frozen, two linear layers trained here" if spec.training == "head" else "where training starts from"
    return f"{architecture(spec.architecture).weights}; {kept}"
