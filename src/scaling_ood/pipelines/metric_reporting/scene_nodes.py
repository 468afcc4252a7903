"""Nodes of metric reporting for segmentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.images import read_image
from scaling_ood.images.scenes import label_map
from scaling_ood.models.segmentation import segmenter
from scaling_ood.parameters import IdentitySpec, ReportingSpec
from scaling_ood.pipelines.metric_reporting.scene_tables import (
    chosen_scenes,
    mark_scene_ties,
    measure_scenes,
    score_pixels,
    summarise_scenes,
)
from scaling_ood.pipelines.score_extraction.nodes import Detectors, fields_for
from scaling_ood.pipelines.score_extraction.scene_nodes import SCENE_MADE, build_scene_detector, scenes
from scaling_ood.preparation import refuse_stale, scores_key
from scaling_ood.records import METRICS, RunRecord
from scaling_ood.report import Illustration, ReportContent, SceneExample, render_report, results_text, scene_figure
from scaling_ood.scene_parameters import SceneExtractionSpec, SegmenterSpec
from scaling_ood.scene_preparation import ScenePreparation, scene_outputs_key, scene_preprocessing

Record = dict[str, Any]


def measure_scene_detector(
    scores: Record,
    outputs: StoredShards,
    manifest: pd.DataFrame,
    preparation: Record,
    spec: SegmenterSpec,
    extraction: SceneExtractionSpec,
    detectors: Detectors,
    reporting: ReportingSpec,
    identity: IdentitySpec,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of one detector per test scene, and its rows of the results table.

    Raises:
        StaleProductError: The scores or the outputs belong to other inputs than the present ones.
    """
    prepared = ScenePreparation.model_validate(preparation)
    name, options = scores["detector"], scores["options"]
    key = scene_outputs_key(prepared, spec, extraction, fields_for(detectors, SCENE_MADE))
    refuse_stale(outputs, key, f"{identity.setting}.outputs")
    if scores["key"] != scores_key(key, name, options):
        raise ValueError(
            f"{identity.setting}.{name}.scores is stale: kedro run --to-outputs {identity.setting}.{name}.scores"
        )
    per_scene, metrics = pd.DataFrame(columns=["id", "n_in", "n_out", *METRICS]), pd.DataFrame()
    if not scores["gap"]:
        detector = build_scene_detector(name, options, prepared)
        metrics, per_scene = measure_scenes(detector, outputs, manifest, prepared, reporting)
    return per_scene, summarise_scenes(metrics, name, scores["gap"], prepared, spec, reporting, identity)


def record_scene_detector(
    scores: Record,
    results: pd.DataFrame,
    outputs: StoredShards,
    accuracy: Record,
    preparation: Record,
    training_run: Record,
    spec: SegmenterSpec,
    reporting: ReportingSpec,
    identity: IdentitySpec,
) -> RunRecord:
    """What the detector's tracked run shows; parameters and metrics as in the other settings."""
    prepared = ScenePreparation.model_validate(preparation)
    values = {"miou": accuracy["validation"]["miou"], "pixel_accuracy": accuracy["validation"]["pixel_accuracy"]}
    for row in results[results["auroc"].notna()].to_dict("records"):
        values |= {f"{metric}.{row['aggregation']}.{row['ood_set']}": row[metric] for metric in METRICS}
        if row["aggregation"] == "per_image":
            values |= {f"{metric}.{row['ood_set']}": row[metric] for metric in METRICS}
    values["extraction_images_per_second"] = outputs.items_per_second
    tags = {
        "kind": "detector",
        "setting": identity.setting,
        "benchmark": identity.benchmark,
        "detector": scores["detector"],
        "model": spec.architecture,
        "training_run": str(training_run.get("run_id", "")),
        "device": str(outputs.about["device"]),
        "gap": scores["gap"],
        "scores_key": scores["key"],
    }
    parameters = {
        "in_dist": prepared.data_set,
        "ood": ";".join(prepared.ood_sets),
        "detector": scores["detector"],
        **{f"detector.{name}": value for name, value in scores["options"].items()},
        "model": spec.architecture,
        "training": "network",
        "weights": segmenter(spec.architecture).weights if spec.pretrained else "random initialisation",
        "labels": "fine",
        "seeds": str(spec.seed),
        "label_smoothing": 0.0,
        "input_px": spec.test_edge or 0,
        "precision": outputs.about["precision"],
        "positive_class": reporting.positive_class,
        "fpr_rule": reporting.fpr_rule,
        "data_seed": 0,
        "fit_images": prepared.images["validation"],
        "test_images": prepared.images["test"],
        "fit_digest": prepared.digests["validation"],
        "test_digest": prepared.digests["test"],
    }
    return RunRecord(f"{identity.setting}.{scores['detector']}", tags, parameters, values, tables={"results": results})


def collect_scene_results(
    manifest: pd.DataFrame, preparation: Record, reporting: ReportingSpec, **by_detector: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The setting's results table with ties marked, and every scene's metrics.

    Args:
        manifest: All scenes.
        preparation: Record of the data.
        reporting: Level of the tests.
        by_detector: `<detector>_metrics` and `<detector>_results`, in the order of the table.
    """
    prepared = ScenePreparation.model_validate(preparation)
    names = [name.removesuffix("_results") for name in by_detector if name.endswith("_results")]
    results = pd.concat([by_detector[f"{name}_results"] for name in names], ignore_index=True)
    per_scene = {name: by_detector[f"{name}_metrics"] for name in names}
    every = pd.concat([rows.assign(detector=name) for name, rows in per_scene.items()], ignore_index=True)
    return mark_scene_ties(results, per_scene, manifest, prepared, reporting), every


def draw_score_maps(
    outputs: StoredShards,
    manifest: pd.DataFrame,
    preparation: Record,
    reporting: ReportingSpec,
    **by_detector: Record,
) -> Figure:
    """A few test scenes with each detector's highest scores (the paper, Figures 4 and 5)."""
    prepared = ScenePreparation.model_validate(preparation)
    return scene_figure(_examples(outputs, manifest, prepared, reporting.examples, list(by_detector.values())))


def write_scene_report(
    results: pd.DataFrame,
    outputs: StoredShards,
    accuracy: Record,
    preparation: Record,
    manifest: pd.DataFrame,
    model: StoredModel,
    spec: SegmenterSpec,
    reporting: ReportingSpec,
    identity: IdentitySpec,
    **by_detector: Record,
) -> tuple[str, str]:
    """The report as one HTML file, and the table as text."""
    prepared = ScenePreparation.model_validate(preparation)
    maps = scene_figure(_examples(outputs, manifest, prepared, reporting.examples, list(by_detector.values())))
    content = ReportContent(
        benchmark=identity.benchmark,
        setting=identity.setting,
        results=results,
        facts=_facts(prepared, model, spec, outputs, accuracy),
        caveats=reporting.caveats,
        figures={
            "Score maps": Illustration(
                maps, "Test scenes drawn by a fixed seed; the tenth of the pixels with the highest scores in red."
            )
        },
        tie_level=reporting.tie_level,
    )
    return render_report(content), results_text(results)


def _examples(
    outputs: StoredShards, manifest: pd.DataFrame, prepared: ScenePreparation, count: int, scores: list[Record]
) -> list[SceneExample]:
    wanted = set(chosen_scenes(manifest, count))
    built = {one["detector"]: one["options"] for one in scores if not one["gap"]}
    detectors = {name: build_scene_detector(name, options, prepared) for name, options in built.items()}
    palette = label_map(prepared.labels).palette
    examples = []
    for scene in scenes(outputs, manifest, prepared, "test"):
        if scene.row["id"] in wanted:
            height, width = scene.train_ids.shape
            image = read_image(f"{prepared.folder}/{scene.row['path']}").resize((width, height))
            maps = {name: score_pixels(detector, scene) for name, detector in detectors.items()}
            examples.append(SceneExample(scene.row["id"], np.asarray(image), palette[scene.train_ids], maps))
    return examples


def _facts(
    prepared: ScenePreparation, model: StoredModel, spec: SegmenterSpec, outputs: StoredShards, accuracy: Record
) -> dict[str, dict[str, object]]:
    preprocessing = scene_preprocessing(spec)
    weights = f"{segmenter(spec.architecture).weights} (encoder)" if spec.pretrained else "random initialisation"
    quality = {
        f"{role}: mIoU / pixel accuracy": f"{accuracy[role]['miou']:.1%} / {accuracy[role]['pixel_accuracy']:.1%}"
        for role in ("validation", "test")
    }
    return {
        "Data": {
            "Data set": f"{prepared.data_set} (layout {prepared.layout}, labels {prepared.labels})",
            "Classes": ", ".join(prepared.classes),
            **{f"Scenes for {r}": f"{n:,} (digest {prepared.digests[r]})" for r, n in prepared.images.items()},
            "Mean anomalous area": f"{prepared.anomalous_share:.2%} of the pixels, where there is any",
            "Test scenes without an anomaly": f"{prepared.without_anomaly} (left out of the means per image)",
            "Scenes set apart": prepared.unreadable,
        },
        "Model": {
            "Architecture": f"{spec.architecture}, decoder of {spec.width} channels",
            "Weights": weights,
            "Epochs": f"{spec.epochs}, the best of them by validation mIoU (seed {spec.seed})",
            **quality,
            "Least mIoU accepted": f"{spec.least_miou:.1%}",
            "Input": f"shorter side {spec.test_edge or 'as it is'}, mean {preprocessing.mean}, std {preprocessing.std}",
        },
        "Extraction": {
            "Device": outputs.about["device"],
            "Precision": f"{outputs.about['precision']}, logits stored as {outputs.about['stored']} at stride 8",
            "Scoring": "logits up-sampled to the label image (bilinear, align_corners=False), then scored",
            "Throughput": f"{outputs.items_per_second:,.1f} scenes/s, all detectors together",
            "PyTorch": outputs.about["torch"],
            "Model key": model.key,
        },
        "Conventions": {
            "per_image": "mean over the scenes that have anomalous and other pixels (the paper's)",
            "pooled": "all pixels together, exact",
            "Ties": "paired bootstrap over the scenes, per-image means only",
        },
    }
