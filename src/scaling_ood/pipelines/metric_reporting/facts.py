"""What is recorded beside every number: data, model, weights, preprocessing, conventions, machine."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.models import architecture
from scaling_ood.parameters import IdentitySpec, ModelSpec, ReportingSpec
from scaling_ood.preparation import Preparation, preprocessing_of
from scaling_ood.records import METRICS, RunRecord
from scaling_ood.scores import Scores


def detector_run(
    scores: Scores,
    metrics: pd.DataFrame,
    results: pd.DataFrame,
    outputs: StoredShards,
    accuracy: dict[str, Any],
    prepared: Preparation,
    training_run: dict[str, Any],
    spec: ModelSpec,
    reporting: ReportingSpec,
    identity: IdentitySpec,
) -> RunRecord:
    """Tags, parameters and metrics of one detector's run; the same names in every setting."""
    values = {"top1": _top1(accuracy, spec)}
    for row in results[results["gap"].isna() | (results["gap"] == "")].to_dict("records"):
        first = row["positive_class"] == reporting.positive_classes[0]
        ending = "" if first else f".{row['positive_class']}_positive"
        values |= {f"{metric}.{row['ood_set']}{ending}": row[metric] for metric in METRICS}
    first_class = metrics["positive_class"] == reporting.positive_classes[0]
    others = metrics[(metrics["labels"] != spec.labels[0]) & first_class]
    for labels, rows in others.groupby("labels"):
        values |= {f"{metric}.{labels}.mean": float(rows[metric].mean()) for metric in METRICS}
    for variant, numbers in scores.diagnostics.items():
        if variant == prepared.variants(spec)[0].name:
            values |= dict(numbers)
    values |= {"distinct_scores": results["distinct_scores"].min()}
    values |= {"extraction_images_per_second": outputs.items_per_second}
    values |= {"scoring_images_per_second": scores.images_per_second}
    tags = {
        "kind": "detector",
        "setting": identity.setting,
        "benchmark": identity.benchmark,
        "detector": scores.detector,
        "model": spec.architecture,
        "training_run": str(training_run.get("run_id", "")),
        "device": str(outputs.about["device"]),
        "gap": scores.gaps.get(spec.labels[0], ""),
        "scores_key": scores.key,
    }
    parameters = {
        "in_dist": prepared.in_dist,
        "ood": ";".join(prepared.ood),
        "detector": scores.detector,
        **{f"detector.{name}": value for name, value in scores.options.items()},
        "model": spec.architecture,
        "training": spec.training,
        "weights": _weights(spec, prepared),
        "labels": spec.labels[0],
        "seeds": ",".join(map(str, spec.seeds)),
        "label_smoothing": spec.label_smoothing,
        "input_px": preprocessing_of(spec).crop_px,
        "precision": outputs.about["precision"],
        "positive_class": reporting.positive_class,
        "fpr_rule": reporting.fpr_rule,
        "data_seed": prepared.seed,
        "fit_images": prepared.images["fit"],
        "test_images": prepared.images["test"],
        "fit_digest": prepared.digests["fit"],
        "test_digest": prepared.digests["test"],
    }
    return RunRecord(f"{identity.setting}.{scores.detector}", tags, parameters, values)


def report_facts(
    prepared: Preparation,
    model: StoredModel,
    spec: ModelSpec,
    outputs: StoredShards,
    accuracy: dict[str, Any],
    reporting: ReportingSpec,
) -> dict[str, dict[str, object]]:
    """Sections of the report's record."""
    preprocessing = preprocessing_of(spec)
    roles = [role for role in ("train", "fit", "test") if role in prepared.images]
    published = architecture(spec.architecture).published_top1 if spec.stored == "none" else None
    return {
        "Data": {
            "In-distribution": prepared.in_dist,
            "Classes": len(prepared.classes),
            **{f"Images for {role}": f"{prepared.images[role]:,} (digest {prepared.digests[role]})" for role in roles},
            **{f"OOD {name}": f"{prepared.images[name]:,} ({prepared.sources[name]})" for name in prepared.ood},
            **{f"Noise {name}": _noise(prepared, name) for name in prepared.noise},
            "Unreadable images left out": prepared.unreadable,
            **{f"Left out of {name} for quality": f"{count:,}" for name, count in prepared.curated.items()},
            "Copies that differ from what was published": "; ".join(prepared.differences) or "none",
            "Seed of the draws": prepared.seed,
        },
        "Model": {
            "Architecture": spec.architecture,
            "Weights": _weights(spec, prepared),
            "Training": spec.training,
            "Seeds": ", ".join(map(str, spec.seeds)),
            **({"Epochs": spec.epochs, "Label smoothing": spec.label_smoothing} if model.history else {}),
            "Top-1 accuracy on the fit and test images": f"{_top1(accuracy, spec):.1%} of {accuracy['images']:,}",
            **({"Top-1 accuracy stated by the weights' authors": f"{published:.1%}"} if published else {}),
            "Least top-1 accuracy accepted": f"{accuracy['least_top1']:.1%}",
            "Preprocessing": f"resize {preprocessing.resize_px} px ({preprocessing.interpolation}), centre crop "
            f"{preprocessing.crop_px} px, mean {preprocessing.mean}, std {preprocessing.std}",
        },
        "Extraction": {
            "Device": outputs.about["device"],
            "Precision": outputs.about["precision"],
            "Throughput": f"{outputs.items_per_second:,.0f} images/s, all detectors together",
            "PyTorch": outputs.about["torch"],
        },
        "Conventions": {
            "Positive class": reporting.positive_class,
            "FPR95": f"'{reporting.fpr_rule}' rule",
            "AUPR": "step-wise average precision",
            "Ties": f"paired DeLong test (AUROC), paired bootstrap of {reporting.bootstrap_replicates:,} replicates "
            f"(AUPR, FPR95), level {reporting.tie_level:g}, not corrected for the number of detectors",
        },
    }


def _top1(accuracy: dict[str, Any], spec: ModelSpec) -> float:
    values = [value for name, value in accuracy["top1"].items() if name.startswith(f"{spec.labels[0]}_")]
    return float(sum(values) / len(values))


def _weights(spec: ModelSpec, prepared: Preparation) -> str:
    if spec.weights == "checkpoint":
        return f"checkpoint with SHA-256 {prepared.checkpoint}, as it is"
    if spec.training == "network":
        return "random initialisation, trained here"
    head = "with their own head" if spec.training == "none" else "frozen, a linear head trained here"
    return f"{architecture(spec.architecture).weights}; {head}"


def _noise(prepared: Preparation, name: str) -> str:
    options = prepared.noise[name].model_dump(exclude={"source", "images"})
    if options["recipe"] != "blobs":
        options = {key: options[key] for key in ("recipe", "seed", "noise_range")}
    return ", ".join(f"{key} {value}" for key, value in options.items())
