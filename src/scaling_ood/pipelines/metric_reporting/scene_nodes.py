"""Nodes of metric reporting for segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.images.exif import oriented_in_words
from scaling_ood.networks import SCENES, network_of
from scaling_ood.parameters.common import IdentitySpec
from scaling_ood.parameters.segmentation import NetworksSpec, SceneExtractionSpec, SceneReportingSpec, SegmenterSpec
from scaling_ood.pipelines.extraction import Detectors, product_name
from scaling_ood.pipelines.metric_reporting.facts import finding_facts, warning_facts
from scaling_ood.pipelines.metric_reporting.scene_maps import scene_examples
from scaling_ood.pipelines.metric_reporting.scene_tables import (
    SCENE_COLUMNS,
    mark_scene_ties,
    measure_scenes,
    summarise_scenes,
)
from scaling_ood.pipelines.score_extraction.scene_nodes import (
    build_scene_detector,
    detector_outputs_key,
)
from scaling_ood.preparation import refuse_stale, scores_key
from scaling_ood.records import METRICS, RunRecord
from scaling_ood.report import (
    Illustration,
    ReportContent,
    interval_figures,
    render_report,
    results_text,
    scene_figure,
)
from scaling_ood.scene_preparation import ScenePreparation, scene_preprocessing, weights_of

Record = dict[str, Any]


def measure_scene_detector(
    scores: Record,
    outputs: StoredShards,
    manifest: pd.DataFrame,
    preparation: Record,
    spec: SegmenterSpec,
    networks: NetworksSpec,
    extraction: SceneExtractionSpec,
    detectors: Detectors,
    reporting: SceneReportingSpec,
    identity: IdentitySpec,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of one detector per test scene, and its rows of the results table.

    Raises:
        StaleProductError: The scores or the outputs belong to other inputs than the present ones.
    """
    prepared = ScenePreparation.model_validate(preparation)
    name, options = scores["detector"], scores["options"]
    key = detector_outputs_key(prepared, spec, extraction, networks, detectors, name)
    refuse_stale(outputs, key, product_name(identity, network_of(name, SCENES), "outputs"))
    if scores["key"] != scores_key(key, name, options):
        raise ValueError(
            f"{identity.setting}.{name}.scores is stale: kedro run --to-outputs {identity.setting}.{name}.scores"
        )
    per_scene, metrics = pd.DataFrame(columns=list(SCENE_COLUMNS)), pd.DataFrame()
    if not scores["gap"]:
        detector = build_scene_detector(name, options, prepared)
        metrics, per_scene = measure_scenes(detector, outputs, manifest, prepared, reporting, spec.seeds)
    return per_scene, summarise_scenes(metrics, name, scores["gap"], prepared, spec, reporting, identity)


def record_scene_detector(
    scores: Record,
    results: pd.DataFrame,
    score_maps: StoredShards,
    outputs: StoredShards,
    accuracy: Record,
    manifest: pd.DataFrame,
    preparation: Record,
    training_run: Record,
    spec: SegmenterSpec,
) -> RunRecord:
    """What the detector's tracked run shows; parameters and metrics as in the other settings."""
    row = results.iloc[0]
    prepared = ScenePreparation.model_validate(preparation)
    values = dict(accuracy.get("validation", {}))
    for one in results[results["auroc"].notna()].to_dict("records"):
        values |= {f"{metric}.{one['aggregation']}.{one['ood_set']}": one[metric] for metric in METRICS}
        if one["aggregation"] == "per_image":
            values |= {f"{metric}.{one['ood_set']}": one[metric] for metric in METRICS}
    values["extraction_images_per_second"] = outputs.items_per_second
    tags = {
        "kind": "detector",
        "setting": row["setting"],
        "benchmark": row["benchmark"],
        "detector": scores["detector"],
        "model": str(outputs.about["model"]),
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
        "model": str(outputs.about["model"]),
        "training": spec.training,
        "weights": outputs.about["weights"],
        "labels": "fine",
        "seeds": ",".join(map(str, spec.seeds)),
        "label_smoothing": 0.0,
        "input_px": spec.test_edge or 0,
        "precision": outputs.about["precision"],
        "positive_class": row["positive_class"],
        "fpr_rule": row["fpr_rule"],
        "data_seed": 0,
        "fit_images": prepared.images.get("validation", 0),
        "test_images": prepared.images["test"],
        "fit_images_trained_on": 0,
        "fit_digest": prepared.digests.get("validation", ""),
        "test_digest": prepared.digests["test"],
    }
    name = scores["detector"]
    examples = scene_examples({name: score_maps}, manifest, prepared)
    figures = {} if scores["gap"] else {**interval_figures(results), "score_maps": scene_figure(examples)}
    return RunRecord(f"{row['setting']}.{name}", tags, parameters, values, {}, figures, {"results": results})


def collect_scene_results(
    manifest: pd.DataFrame, preparation: Record, reporting: SceneReportingSpec, **by_detector: pd.DataFrame
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


def draw_score_maps(manifest: pd.DataFrame, preparation: Record, **by_detector: StoredShards) -> Figure:
    """A few test scenes with each detector's highest scores (the paper, Figures 4 and 5).

    Args:
        manifest: All scenes.
        preparation: Record of the data.
        by_detector: `<detector>_score_maps`, in the order of the columns.
    """
    prepared = ScenePreparation.model_validate(preparation)
    return scene_figure(scene_examples(_of_kind("_score_maps", by_detector), manifest, prepared))


def write_scene_report(
    results: pd.DataFrame,
    outputs: StoredShards,
    accuracy: Record,
    preparation: Record,
    manifest: pd.DataFrame,
    model: StoredModel,
    spec: SegmenterSpec,
    reporting: SceneReportingSpec,
    identity: IdentitySpec,
    **by_detector: Any,
) -> tuple[str, str]:
    """The report as one HTML file, and the table as text.

    Args:
        results: The setting's results table.
        outputs: For device, precision and throughput.
        accuracy: Of the segmenter.
        preparation: Record of the data.
        manifest: All scenes.
        model: The segmenter.
        spec: Its parameters.
        reporting: Caveats and conventions.
        identity: Setting and benchmark.
        by_detector: `<detector>_score_maps`, and `<detector>_accuracy` of those with a network of their own.
    """
    prepared = ScenePreparation.model_validate(preparation)
    maps = scene_figure(scene_examples(_of_kind("_score_maps", by_detector), manifest, prepared))
    content = ReportContent(
        benchmark=identity.benchmark,
        setting=identity.setting,
        results=results,
        facts=_facts(prepared, model, spec, outputs, accuracy) | _own_facts(_of_kind("_accuracy", by_detector)),
        caveats=reporting.caveats,
        figures={
            "Score maps": Illustration(
                maps, "Test scenes drawn by a fixed seed; the tenth of the pixels with the highest scores in red."
            )
        },
        tie_level=reporting.tie_level,
    )
    return render_report(content), results_text(results)


def _of_kind(ending: str, by_detector: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removesuffix(ending): value for name, value in by_detector.items() if name.endswith(ending)}


def _own_facts(qualities: Mapping[str, Record]) -> dict[str, dict[str, object]]:
    words = {"miou": "mIoU {:.1%}", "pixel_accuracy": "pixel accuracy {:.1%}", "loss": "reconstruction error {:.4f}"}
    told = {
        name: ", ".join(words[measure].format(value) for measure, value in quality["validation"].items())
        for name, quality in qualities.items()
    }
    return {"Networks of single detectors, on the validation scenes": dict(told)} if told else {}


def _facts(
    prepared: ScenePreparation, model: StoredModel, spec: SegmenterSpec, outputs: StoredShards, accuracy: Record
) -> dict[str, dict[str, object]]:
    preprocessing = scene_preprocessing(spec)
    quality = {
        f"{role}: mIoU / pixel accuracy": f"{accuracy[role]['miou']:.1%} / {accuracy[role]['pixel_accuracy']:.1%}"
        for role in ("validation", "test")
        if role in accuracy
    } or {"mIoU": "not known: the labels tell anomalous from known alone"}
    return {
        "Data": {
            "Data set": f"{prepared.data_set} (layout {prepared.layout}, labels {prepared.labels})",
            "Classes": ", ".join(prepared.classes),
            **{f"Scenes for {r}": f"{n:,} (digest {prepared.digests[r]})" for r, n in prepared.images.items()},
            "Mean anomalous area": f"{prepared.anomalous_share:.2%} of the pixels, where there is any",
            "Test scenes without an anomaly": f"{prepared.without_anomaly} (left out of the means per image)",
            "Scenes set apart": prepared.unreadable,
            "Photographs with an EXIF orientation": oriented_in_words(prepared.oriented, prepared.orientation),
            **finding_facts(prepared),
        },
        "Model": {
            "Architecture": f"{spec.architecture}, decoder of {spec.width} channels",
            "Weights": weights_of(spec),
            "Epochs": f"{spec.epochs}, the best of them by validation mIoU",
            "Seeds": ", ".join(map(str, spec.seeds)),
            **quality,
            **warning_facts(accuracy),
            "Least mIoU accepted": f"{spec.least_miou:.1%}",
            "Input": f"shorter side {outputs.about['scales']}, mean {preprocessing.mean}, std {preprocessing.std}",
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
            "Intervals": "95 %, over scenes and, with several seeds, over trainings",
            "Ties": "paired comparison with the best over the scenes, all detectors together, per-image means only",
        },
    }
