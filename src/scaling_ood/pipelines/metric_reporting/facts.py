"""What is recorded beside every number: data, model, weights, preprocessing, conventions, machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.images.exif import oriented_in_words
from scaling_ood.images.layouts import counted
from scaling_ood.models import architecture
from scaling_ood.networks import CONFIDENCE, ROTATION, SHARED, image_networks, network_of
from scaling_ood.parameters.common import IdentitySpec, ReportingSpec
from scaling_ood.parameters.multi_class import ModelSpec
from scaling_ood.pipelines.score_extraction.nodes import of_first_labels
from scaling_ood.preparation import Findings, Preparation, TrainedModel, preprocessing_of
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
    values = {"top1": _top1(accuracy, spec), **shared_values(scores, results, outputs, prepared, spec, reporting)}
    if "classifier_top1" in accuracy:
        values["classifier_top1"] = _mean(of_first_labels(accuracy["classifier_top1"], spec))
    network = network_of(scores.detector, image_networks(spec.training))
    first_class = metrics["positive_class"] == reporting.positive_classes[0]
    others = metrics[(metrics["labels"] != spec.labels[0]) & first_class]
    for labels, rows in others.groupby("labels"):
        values |= {f"{metric}.{labels}.mean": float(rows[metric].mean()) for metric in METRICS}
    parameters = {
        **shared_parameters(scores, outputs, prepared, spec, reporting),
        "training": spec.training,
        "weights": _weights(spec, prepared, network),
        "label_smoothing": spec.label_smoothing,
        "input_px": preprocessing_of(spec, prepared).crop_px,
    }
    tags = shared_tags(scores, outputs, training_run, spec, identity, network)
    return RunRecord(f"{identity.setting}.{scores.detector}", tags, parameters, values)


def shared_values(
    scores: Scores,
    results: pd.DataFrame,
    outputs: StoredShards,
    prepared: Preparation,
    spec: TrainedModel,
    reporting: ReportingSpec,
) -> dict[str, float]:
    """Metrics of one detector's run over whole images: its rows of the table, what it learned, and speeds.

    Those of the second positive class, where there is one, end in its name.
    """
    values: dict[str, float] = {}
    for row in results[results["gap"].isna() | (results["gap"] == "")].to_dict("records"):
        first = row["positive_class"] == reporting.positive_classes[0]
        ending = "" if first else f".{row['positive_class']}_positive"
        values |= {f"{metric}.{row['ood_set']}{ending}": row[metric] for metric in METRICS}
    values |= scores.diagnostics.get(prepared.variants(spec)[0].name, {})
    values["distinct_scores"] = results["distinct_scores"].min()
    values["extraction_images_per_second"] = outputs.items_per_second
    values["scoring_images_per_second"] = scores.images_per_second
    return values


def shared_tags(
    scores: Scores,
    outputs: StoredShards,
    training_run: dict[str, Any],
    spec: TrainedModel,
    identity: IdentitySpec,
    network: str = SHARED,
) -> dict[str, str]:
    """Tags of one detector's run over whole images; `network` is the one that it reads."""
    return {
        "kind": "detector",
        "setting": identity.setting,
        "benchmark": identity.benchmark,
        "detector": scores.detector,
        "model": spec.architecture,
        "training_run": str(training_run.get("run_id", "")),
        "device": str(outputs.about["device"]),
        "gap": scores.gaps.get(spec.labels[0], ""),
        **({"network": network} if network else {}),
        "scores_key": scores.key,
    }


def shared_parameters(
    scores: Scores, outputs: StoredShards, prepared: Preparation, spec: TrainedModel, reporting: ReportingSpec
) -> dict[str, Any]:
    """Parameters of one detector's run over whole images, but for those of its model's training."""
    return {
        "in_dist": prepared.in_dist,
        "ood": ";".join(prepared.ood),
        "detector": scores.detector,
        **{f"detector.{name}": value for name, value in scores.options.items()},
        "model": spec.architecture,
        "labels": spec.labels[0],
        "seeds": ",".join(map(str, spec.seeds)),
        "precision": outputs.about["precision"],
        "positive_class": reporting.positive_class,
        "fpr_rule": reporting.fpr_rule,
        "data_seed": prepared.seed,
        "fit_images": prepared.images["fit"],
        "fit_images_trained_on": prepared.trained_fit,
        "test_images": prepared.images["test"],
        "fit_digest": prepared.digests["fit"],
        "test_digest": prepared.digests["test"],
    }


def report_facts(
    prepared: Preparation,
    model: StoredModel,
    spec: ModelSpec,
    outputs: StoredShards,
    accuracy: dict[str, Any],
    reporting: ReportingSpec,
    accuracies: Mapping[str, dict[str, Any]],
) -> dict[str, dict[str, object]]:
    """Sections of the report's record; `accuracies` are those of the networks that single detectors read."""
    preprocessing = preprocessing_of(spec, prepared)
    published = architecture(spec.architecture).published_top1 if spec.stored == "none" else None
    judged = " and ".join(prepared.judged_sets)
    return {
        "Data": data_facts(prepared, str(len(prepared.classes))),
        "Model": {
            "Architecture": spec.architecture,
            "Weights": _weights(spec, prepared, SHARED),
            "Training": spec.training,
            "Seeds": ", ".join(map(str, spec.seeds)),
            **({"Epochs": spec.epochs, "Label smoothing": spec.label_smoothing} if model.history else {}),
            f"Top-1 accuracy on the {judged} images": f"{_top1(accuracy, spec):.1%} of {accuracy['images']:,}",
            **_by_set(accuracy),
            **warning_facts(accuracy),
            **({"Top-1 accuracy stated by the weights' authors": f"{published:.1%}"} if published else {}),
            "Least top-1 accuracy accepted": f"{accuracy['least_top1']:.1%}",
            "Preprocessing": f"resize {preprocessing.resize_px} px ({preprocessing.interpolation}), centre crop "
            f"{preprocessing.crop_px} px, mean {preprocessing.mean}, std {preprocessing.std}",
        },
        **_networks(accuracies, prepared, spec),
        "Extraction": extraction_facts(outputs),
        "Conventions": convention_facts(reporting),
    }


def data_facts(prepared: Preparation, classes: str) -> dict[str, object]:
    """How many images of what play which role; `classes` tells those of the in-distribution set."""
    roles = [role for role in ("train", "fit", "test") if role in prepared.images]
    return {
        "In-distribution": prepared.in_dist,
        "Classes": classes,
        **{f"Images for {role}": f"{prepared.images[role]:,} (digest {prepared.digests[role]})" for role in roles},
        **({"Fit images that are training images": f"{prepared.trained_fit:,}"} if prepared.trained_fit else {}),
        **{f"OOD {name}": f"{prepared.images[name]:,} ({prepared.sources[name]})" for name in prepared.ood},
        **{f"Noise {name}": _noise(prepared, name) for name in prepared.noise},
        "Unreadable images left out": prepared.unreadable,
        "Images with an EXIF orientation": oriented_in_words(prepared.oriented, prepared.orientation),
        **{f"Left out of {name} for quality": f"{count:,}" for name, count in prepared.curated.items()},
        **finding_facts(prepared),
        "Copies that differ from what was published": "; ".join(prepared.differences) or "none",
        "Seed of the draws": prepared.seed,
    }


def finding_facts(found: Findings) -> dict[str, object]:
    """What a reader must know of the images before any number."""
    between, within = ([one for one in found.shared if (one.first != one.second) == apart] for apart in (True, False))
    return {
        **{f"Files left out of {name}": counted(reasons) for name, reasons in found.left_out.items()},
        "Pictures in several image sets": "; ".join(map(str, between)) or "none",
        **({"Pictures more than once in a set": "; ".join(map(str, within))} if within else {}),
        **({"To be known of the images": "; ".join(found.notes)} if found.notes else {}),
    }


def warning_facts(accuracy: dict[str, Any]) -> dict[str, object]:
    """What the model's quality says of the test labels, if anything."""
    return {"Warning": accuracy["warning"]} if accuracy.get("warning") else {}


def extraction_facts(outputs: StoredShards) -> dict[str, object]:
    """On what, how exactly and how fast the forward pass ran."""
    return {
        "Device": outputs.about["device"],
        "Precision": outputs.about["precision"],
        "Throughput": f"{outputs.items_per_second:,.0f} images/s, all detectors together",
        "PyTorch": outputs.about["torch"],
    }


def convention_facts(reporting: ReportingSpec) -> dict[str, object]:
    """What the numbers of the tables mean."""
    return {
        "Positive class": ", then ".join(reporting.positive_classes),
        "FPR95": f"'{reporting.fpr_rule}' rule",
        "AUPR": "step-wise average precision",
        "Intervals": "95 %, over images and, with several seeds, over trainings",
        "Ties": f"paired comparison with the best, level {reporting.tie_level:g} for all of a column together",
    }


def _top1(accuracy: dict[str, Any], spec: ModelSpec) -> float:
    return _mean(of_first_labels(accuracy["top1"], spec))


def _by_set(accuracy: dict[str, Any]) -> dict[str, object]:
    own = accuracy.get("by_set", {})
    return {f"Of these, on {name}": f"{value:.1%}" for name, value in own.items()} if len(own) > 1 else {}


def _mean(values: list[float]) -> float:
    return float(sum(values) / len(values))


def _networks(
    accuracies: Mapping[str, dict[str, Any]], prepared: Preparation, spec: ModelSpec
) -> dict[str, dict[str, object]]:
    told = {
        name: f"top-1 accuracy {_top1(accuracy, spec):.1%}, the classifier's is "
        f"{_mean(of_first_labels(accuracy['classifier_top1'], spec)):.1%}; {_weights(spec, prepared, name)}"
        for name, accuracy in accuracies.items()
    }
    judged = " and ".join(prepared.judged_sets)
    return {f"Networks of single detectors, on the {judged} images": dict(told)} if told else {}


def _weights(spec: ModelSpec, prepared: Preparation, network: str) -> str:
    if spec.weights == "checkpoint":
        return f"checkpoint with SHA-256 {prepared.checkpoint}, as it is"
    if spec.training == "network":
        started = architecture(spec.architecture).weights if spec.pretrained else "random initialisation"
        return f"{started}, trained here"
    trained = _HEADS[network] if spec.training == "head" else "with their own head"
    return f"{architecture(spec.architecture).weights}; {trained}"


_HEADS = {
    SHARED: "frozen, a linear head trained here",
    CONFIDENCE: "frozen, two linear heads trained here",
    ROTATION: "frozen, a hidden layer and two heads trained here",
}


def _noise(prepared: Preparation, name: str) -> str:
    options = prepared.noise[name].model_dump(exclude={"source", "images"})
    if options["recipe"] != "blobs":
        options = {key: options[key] for key in ("recipe", "seed", "noise_range")}
    return ", ".join(f"{key} {value}" for key, value in options.items())
