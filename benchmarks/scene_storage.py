"""What the choices of segmentation's storage do to its metrics, on a finished benchmark.

Run: `python benchmarks/scene_storage.py [ENV] [data_root=DIR]` after `kedro run [--env ENV]`; base is the default.

1. Logits stored in half precision against single precision: differences of each metric in points.
2. The variance over dropout masks taken at stride 8 and then up-sampled, as extraction stores it, against the variance
   of posteriors of up-sampled logits.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from timing import table

from scaling_ood.datasets import StoredShards
from scaling_ood.detectors import NotApplicableError
from scaling_ood.detectors.mc_dropout import posterior_variance
from scaling_ood.images import read_image
from scaling_ood.images.scenes import ANOMALY, VOID, read_labels
from scaling_ood.metrics import PerImageMean, PooledThresholds
from scaling_ood.models.segmentation import build_segmenter, upsample
from scaling_ood.networks import SCENES, network_of
from scaling_ood.parameters.segmentation import SegmentationSpec
from scaling_ood.pipelines.metric_reporting.scene_tables import measure_scenes
from scaling_ood.pipelines.score_extraction.scene_nodes import build_scene_detector
from scaling_ood.scene_preparation import WHOLE, ScenePreparation, scene_preprocessing, variant_of
from scaling_ood.structure import detectors_of, setting_specs
from scaling_ood.training.scenes import network_pixels

METRICS = ("fpr95", "auroc", "aupr")
LIMIT = 0.05
"""Points; half precision may be the default only below."""


class Rounded(StoredShards):
    """Stored outputs whose logits are rounded to half precision when they are read."""

    def read(self, name: str) -> dict[str, torch.Tensor]:
        """All tensors of one shard."""
        tensors = super().read(name)
        return {key: value.half() if "/logits/" in key else value for key, value in tensors.items()}


def finished(env: str | None, params: dict[str, Any]) -> tuple[SegmentationSpec, dict[str, Any]]:
    """Specification and products of the benchmark."""
    root = Path(__file__).parents[1]
    bootstrap_project(root)
    with KedroSession.create(root, env=env, runtime_params=params) as session:
        catalog = session.load_context().catalog
        spec = setting_specs()["segmentation"]
        assert isinstance(spec, SegmentationSpec)
        names = ("manifest", "preparation", "model", "outputs")
        return spec, {name: catalog[f"segmentation.{name}"].load() for name in names}


def storage(spec: SegmentationSpec, manifest: pd.DataFrame, prepared: ScenePreparation, outputs: StoredShards) -> None:
    """Print the differences of half precision."""
    half = Rounded(outputs.key, outputs.about, outputs.parts, outputs.folder)
    rows, largest = [], 0.0
    for name in detectors_of(spec):
        options = spec.detectors[name] or {}
        detector = None if network_of(name, SCENES) else _applicable(name, options, prepared)
        if detector is None or "logits" not in detector.needs:
            continue
        tables = [measure_scenes(detector, one, manifest, prepared, spec.reporting)[0] for one in (outputs, half)]
        change = 100 * (tables[1][list(METRICS)] - tables[0][list(METRICS)])
        for row, values in zip(tables[0].to_dict("records"), change.to_numpy(), strict=True):
            if row["ood_set"] == WHOLE:
                rows.append([f"{name} {row['aggregation']}", *(f"{value:+.4f}" for value in values)])
                largest = max(largest, float(np.abs(values).max()))
    print("half precision minus single precision, in points")
    print(table(["detector", *METRICS], rows))
    print(f"largest: {largest:.4f}; the limit for a default is {LIMIT}", end="\n\n")


def variance(spec: SegmentationSpec, manifest: pd.DataFrame, prepared: ScenePreparation, model: Any) -> None:
    """Print the metrics of both variances."""
    seed = spec.model.seeds[0]
    network = build_segmenter(
        spec.model.architecture, prepared.network_classes(spec.model), pretrained=False, width=spec.model.width,
        dropout=spec.model.dropout,
    )  # fmt: skip
    network.load_state_dict(model.states()[f"{variant_of(seed)}.best"])
    network.eval()
    collected: dict[str, tuple[PerImageMean, PooledThresholds]] = {
        name: (PerImageMean(), PooledThresholds()) for name in ("before", "after")
    }
    scores: dict[str, list[tuple[str, Any, Any, Any]]] = {name: [] for name in collected}
    for row in manifest[manifest["image_set"] == "test"].to_dict("records"):
        path = f"{prepared.folder}/{row['label_path']}"
        ids = prepared.label_map.apply(read_labels(path), path)
        both = _variances(network, spec, f"{prepared.folder}/{row['path']}", prepared.folder, ids.shape)
        for name, score in both.items():
            frame = (score, ids == ANOMALY, ids != VOID)
            collected[name][0].add(row["id"], *frame)
            collected[name][1].add(*frame, image=row["id"])
            scores[name].append((row["id"], *frame))
    rows = []
    for name, (mean, thresholds) in collected.items():
        counts = thresholds.counts()
        for scene, *frame in scores[name]:
            counts.add(*frame, image=scene)
        per_image = [one.metrics for one in mean.results.values()]
        means = [100 * float(np.mean([getattr(one, field) for one in per_image])) for field in ("fpr", "auroc", "aupr")]
        pooled = counts.metrics()
        rows.append([f"{name} up-sampling, per image", *(f"{value:.2f}" for value in means)])
        whole = [100 * value for value in (pooled.fpr, pooled.auroc, pooled.aupr)]
        rows.append([f"{name} up-sampling, pooled", *(f"{value:.2f}" for value in whole)])
    print("variance over dropout masks, metrics in percent")
    print(table(["variance", *METRICS], rows), end="\n\n")


@torch.inference_mode()
def _variances(network: Any, spec: SegmentationSpec, path: str, folder: str, size: tuple[int, int]) -> dict[str, Any]:
    pixels = network_pixels(read_image(path), spec.model.test_edge, spec.model.longest_edge)
    features = network.encode(scene_preprocessing(spec.model).normalise(pixels[None])).features
    torch.manual_seed(zlib.crc32(path.removeprefix(folder).encode()))
    passes = [network.classify(features, dropout=True) for _ in range(spec.extraction.dropout_passes)]
    before = upsample(posterior_variance(passes)[:, None].float(), size)[0, 0]
    after = posterior_variance(upsample(one, size) for one in passes)[0]
    return {"before": before.numpy(), "after": after.numpy()}


def _applicable(name: str, options: Any, prepared: ScenePreparation) -> Any:
    try:
        return build_scene_detector(name, options, prepared)
    except NotApplicableError:
        return None


def main() -> None:
    """Print both comparisons."""
    params = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    env = next((argument for argument in sys.argv[1:] if "=" not in argument), None)
    spec, products = finished(env, params)
    prepared = ScenePreparation.model_validate(products["preparation"])
    storage(spec, products["manifest"], prepared, products["outputs"])
    variance(spec, products["manifest"], prepared, products["model"])


if __name__ == "__main__":
    main()
