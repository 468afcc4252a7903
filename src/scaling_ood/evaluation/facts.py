"""What is recorded beside every number: data, network, weights, preprocessing, conventions, machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any

import pandas as pd

from scaling_ood.evaluation.passes import image_set_of
from scaling_ood.images.exif import oriented_in_words
from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.products.preparation import Findings, Preparation
from scaling_ood.products.records import MEASURED, RunRecord, UsedImages
from scaling_ood.products.scores import Quality, Scores
from scaling_ood.products.stored import StoredModel, StoredShards
from scaling_ood.report import Illustration, render_report
from scaling_ood.wording import counted

Facts = dict[str, object]

MEASURES = {
    "top1": "top-1 accuracy",
    "map": "mAP",
    "miou": "mIoU",
    "pixel_accuracy": "pixel accuracy",
    "reconstruction_error": "reconstruction error",
}
"""What measures of quality are called."""


def in_measure(measure: str, value: float) -> str:
    """A quality in words.

    >>> in_measure("miou", 0.4312), in_measure("reconstruction_error", 0.08)
    ('mIoU 43.1%', 'reconstruction error 0.0800')
    """
    shown = f"{value:.4f}" if measure == "reconstruction_error" else f"{value:.1%}"
    return f"{MEASURES.get(measure, measure)} {shown}"


def training_run(network: str, model: StoredModel, benchmark: str, setting: str, validated: str) -> RunRecord:
    """What the tracked run of a training shows: a curve per seed and quantity, and how long it took.

    Args:
        network: Its name.
        model: The trained networks.
        benchmark: Whose.
        setting: Whose.
        validated: Quantity that tells epochs apart, such as `validation_miou`: its mean over the networks, in the epoch
            that is used, is recorded as `best_validation_miou` or `last_validation_miou`, where it was measured.
    """
    curves: dict[str, list[float]] = {}
    for row in model.history:
        for quantity, value in row.items():
            if quantity not in ("variant", "epoch", "seconds"):
                curves.setdefault(f"{quantity}.{row['variant']}", []).append(value)
    tags = {
        "kind": "training",
        "setting": setting,
        "benchmark": benchmark,
        "network": network,
        "model": str(model.about["model"]),
        "model_key": model.origin.key,
    }
    metrics = {"training_seconds": float(sum(row["seconds"] for row in model.history))}
    which = "last" if model.about.get("best_epoch") == "last" else "best"
    measured = [values for name, values in curves.items() if name.startswith(f"{validated}.")]
    if measured:
        used = [values[-1] if which == "last" else max(values) for values in measured]
        metrics[f"{which}_{validated}"] = sum(used) / len(used)
    weights = (str(model.path), model.sha256) if model.history else None
    return RunRecord(f"{setting}.{network}.training", tags, _flat(model.about), metrics, curves, weights=weights)


def detector_run(
    scores: Scores,
    results: pd.DataFrame,
    prepared: Preparation,
    reporting: ReportingSpec,
    fit_set: str,
    training_run_id: str,
    figures: Mapping[str, Any],
) -> RunRecord:
    """Tags, parameters, metrics, figures and table of one detector's run; the same names in every setting."""
    about = scores.about
    tags = {
        "kind": "detector",
        "setting": prepared.setting,
        "benchmark": prepared.benchmark,
        "detector": scores.detector,
        "model": str(about["model"]),
        "network": str(about["network"]),
        "training_run": training_run_id,
        "device": str(about["device"]),
        "scoring_device": scores.device,
        "gap": scores.gap,
        "scores_key": scores.origin.key,
    }
    parameters = {
        "in_dist": prepared.in_dist,
        "ood": ";".join(prepared.ood),
        "detector": scores.detector,
        **{f"detector.{name}": value for name, value in scores.options.items()},
        "model": about["model"],
        "network": about["network"],
        "weights": about["weights"],
        "targets": about["targets"],
        "seeds": ",".join(map(str, scores.seeds)),
        "input": about["input"],
        "precision": about["precision"],
        "stored": about["stored"],
        "positive_class": reporting.positive_class,
        "fpr_rule": reporting.fpr_rule,
        "data_seed": prepared.seed,
        "fit_images": prepared.images.get(fit_set, 0),
        "fit_images_trained_on": prepared.trained_fit,
        "test_images": prepared.images["test"],
        "fit_digest": prepared.digests.get(fit_set, ""),
        "test_digest": prepared.digests["test"],
    }
    values = {**_measured(results, reporting), **_quality(about["network_quality"]), **scores.diagnostics}
    values["distinct_scores"] = results["distinct_scores"].min()
    values["extraction_images_per_second"] = about["outputs_per_second"]
    # Of pixels, whose scores are made when they are measured, nothing is known.
    values["scoring_images_per_second"] = scores.images_per_second or nan
    values["fit_seconds"] = scores.fit_seconds if scores.images_per_second else nan
    known = {name: float(value) for name, value in values.items() if not isnan(value)}
    name = f"{prepared.setting}.{scores.detector}"
    return RunRecord(name, tags, parameters, known, {}, figures, {"results": results}, used_images(prepared))


def used_images(prepared: Preparation) -> list[UsedImages]:
    """Every image set, with its digest."""
    return [
        UsedImages(one.data_set, one.image_set, prepared.digests[one.image_set], one.folder, one.images, one.classes)
        for one in prepared.found.origins
        if one.image_set in prepared.digests
    ]


def _measured(results: pd.DataFrame, reporting: ReportingSpec) -> dict[str, float]:
    """Metrics by OOD set, their mean AUROC first; those per image and of the first positive class have plain names."""
    values: dict[str, float] = {}
    several = results["aggregation"].nunique() > 1
    for row in results[results["auroc"].notna()].to_dict("records"):
        first = row["positive_class"] == reporting.positive_classes[0]
        ending = "" if first else f".{row['positive_class']}_positive"
        if several:
            values |= {f"{metric}.{row['aggregation']}.{row['ood_set']}{ending}": row[metric] for metric in MEASURED}
        if not several or row["aggregation"] == "per_image":
            values |= {f"{metric}.{row['ood_set']}{ending}": row[metric] for metric in MEASURED}
    # MLflow's comparison opens on the first.
    first_of_all = [name for name in ("auroc.mean", *values) if name in values and name.startswith("auroc.")][:1]
    return {**{name: values[name] for name in first_of_all}, **values}


def _quality(told: Mapping[str, Any]) -> dict[str, float]:
    measures = {name for of_set in told["by_set"].values() for name in of_set}
    found = {told["measure"]: told["quality"]} if told["quality"] is not None else {}
    judged: Mapping[str, float] = next(iter(told["by_set"].values()), {})
    return {**{name: judged[name] for name in measures if name in judged}, **found}


def data_facts(prepared: Preparation) -> Facts:
    """How many images of what play which role."""
    roles = [role for role in prepared.images if role not in prepared.ood or role == "test"]
    ood = [name for name in prepared.ood if name in prepared.images and name not in roles]
    classes = f"{len(prepared.classes)}"
    if len(prepared.classes) <= _FEW_CLASSES:
        classes += f": {', '.join(prepared.classes)}"
    return {
        "In-distribution": prepared.in_dist,
        "Classes": classes,
        **{f"Images for {role}": f"{_origins(prepared, role)} (digest {prepared.digests[role]})" for role in roles},
        **({"Fit images that are training images": f"{prepared.trained_fit:,}"} if prepared.trained_fit else {}),
        **{f"OOD {name}": f"{_origins(prepared, name)} ({prepared.sources[name]})" for name in ood},
        **{f"Noise {name}": _noise(prepared, name) for name in prepared.noise},
        **_scene_facts(prepared),
        **_finding_facts(prepared.found),
        "Images with an EXIF orientation": oriented_in_words(prepared.found.oriented, prepared.orientation),
        "Seed of the draws": prepared.seed,
    }


def _origins(prepared: Preparation, image_set: str) -> str:
    """How many images a set has, of how many classes, and from where."""
    told = [f"{prepared.images[image_set]:,}"]
    for one in prepared.found.origins:
        if one.image_set == image_set:
            told += [f"{one.classes:,} classes"] if one.classes else []
            told += [f"from {one.data_set} in {one.folder}"] if one.place else []
    return ", ".join(told)


_FEW_CLASSES = 100
"""Names of more classes are not listed."""


def _scene_facts(prepared: Preparation) -> Facts:
    scenes = prepared.scenes
    if scenes is None:
        return {}
    return {
        "Layout and labels": f"{scenes.layout}, {scenes.labels}",
        "Mean anomalous area": f"{scenes.anomalous_share:.2%} of the pixels, where there is any",
        "Test scenes without an anomaly": f"{scenes.without_anomaly} (left out of the means per image)",
    }


def _finding_facts(found: Findings) -> Facts:
    """What a reader must know of the images before any number."""
    between, within = ([one for one in found.shared if (one.first != one.second) == apart] for apart in (True, False))
    return {
        "Unreadable images left out": found.unreadable,
        **{f"Left out of {name} for quality": f"{count:,}" for name, count in found.curated.items()},
        **{f"Files left out of {name}": counted(reasons) for name, reasons in found.left_out.items()},
        "Pictures in several image sets": "; ".join(map(str, between)) or "none",
        **({"Pictures more than once in a set": "; ".join(map(str, within))} if within else {}),
        **({"To be known of the images": "; ".join(found.notes)} if found.notes else {}),
        "Copies that differ from what was published": "; ".join(found.differences) or "none",
    }


def network_facts(outputs: StoredShards, quality: Quality) -> Facts:
    """What the shared network is, and how good."""
    about = outputs.about
    judged = {
        f"On the {name} images": ", ".join(in_measure(measure, value) for measure, value in own.items())
        + f" of {quality.images.get(name, 0):,}"
        for name, own in quality.by_set.items()
    } or {"Quality": "not known: the targets do not say what is right"}
    return {
        "Architecture": about["architecture"],
        "Weights": about["weights"],
        "Seeds": ", ".join(map(str, about["seeds"])),
        **about["told"],
        **judged,
        **({"Warning": quality.warning} if quality.warning else {}),
        f"Least {MEASURES.get(quality.measure, quality.measure)} accepted": f"{quality.least:.1%}",
        "Input": about["input"],
        "Key": about["model_key"],
    }


def other_network_facts(scores: Sequence[Scores], shared: str) -> dict[str, Facts]:
    """How good the other networks are that detectors read."""
    told: Facts = {}
    for one in scores:
        network, quality = str(one.about["network"]), one.about["network_quality"]
        if network == shared or quality["quality"] is None:
            continue
        told[network] = f"{in_measure(quality['measure'], quality['quality'])}; {one.about['weights']}"
    return {"Other networks": told} if told else {}


_SCORES_ALONE: Facts = {
    "Kept of test images": "scores alone (extraction.keep), so that nothing is shown that takes their logits"
}


def extraction_facts(outputs: StoredShards) -> Facts:
    """On what, how exactly and how fast the forward pass ran."""
    return {
        "Device": outputs.about["device"],
        "Precision": f"{outputs.about['precision']}, stored as {outputs.about['stored']}",
        "Throughput": f"{outputs.items_per_second:,.1f} images/s, all detectors together",
        "PyTorch": outputs.about["torch"],
        **({} if any(image_set_of(name) == "test" for name in outputs.parts) else _SCORES_ALONE),
    }


def report_page(
    results: pd.DataFrame,
    prepared: Preparation,
    scores: Mapping[str, Scores],
    outputs: Mapping[str, StoredShards],
    quality: Quality,
    reporting: ReportingSpec,
    figures: Mapping[str, Illustration],
    *,
    dense: bool = False,
    granularity: Any = None,
) -> str:
    """The report of a benchmark's setting.

    Args:
        results: The table.
        prepared: The images.
        scores: Of every detector, by its name.
        outputs: Of the networks that are shown, the shared one first.
        quality: Of the shared network.
        reporting: Caveats and conventions.
        figures: By their titles.
        dense: Whether pixels are scored.
        granularity: Comparison of networks of several targets.
    """
    shared = next(iter(outputs))
    facts = {
        "Data": data_facts(prepared),
        "Network": network_facts(outputs[shared], quality),
        **other_network_facts([*scores.values()], shared),
        "Extraction": extraction_facts(outputs[shared]),
        "Conventions": convention_facts(reporting, dense),
    }
    return render_report(
        prepared.benchmark,
        prepared.setting,
        results,
        facts=facts,
        caveats=(*rendered_caveats(prepared), *reporting.caveats),
        figures=figures,
        granularity=granularity,
        tie_level=reporting.tie_level,
    )


def convention_facts(reporting: ReportingSpec, dense: bool) -> Facts:
    """What the numbers of the tables mean."""
    what = "scenes" if dense else "images"
    pixels = {
        "Scoring": "logits up-sampled to the label image (bilinear, align_corners=False), then scored",
        "per_image": "mean over the scenes that have anomalous and other pixels (the paper's)",
        "pooled": "all pixels together, exact",
    }
    ties = f"paired comparison with the best, level {reporting.tie_level:g} for all of a column together"
    return {
        "Positive class": ", then ".join(reporting.positive_classes),
        "FPR95": f"'{reporting.fpr_rule}' rule",
        "AUPR": "step-wise average precision",
        **(pixels if dense else {}),
        "Intervals": f"95 %, over {what} and, with several seeds, over trainings",
        "Ties": f"{ties}; per-image means only" if dense else ties,
    }


def rendered_caveats(prepared: Preparation) -> tuple[str, ...]:
    """What a reader must know where images were rendered."""
    if not any(place.root == "fabricated" for place in prepared.places.values()):
        return ()
    return (
        "The images are rendered. They show how detectors behave under controlled conditions, not how well they do on "
        "photographs.",
    )


def _noise(prepared: Preparation, name: str) -> str:
    options = prepared.noise[name].model_dump(exclude={"source", "images"})
    if options["recipe"] != "blobs":
        options = {key: options[key] for key in ("recipe", "seed", "noise_range")}
    return ", ".join(f"{key} {value}" for key, value in options.items())


def _flat(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of networks, as flat parameters."""
    flat: dict[str, Any] = {}
    for name, value in about.items():
        if isinstance(value, Mapping):
            flat |= {str(inner): each for inner, each in value.items()}
        else:
            flat[name] = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
    return flat
