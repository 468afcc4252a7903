"""Score maps: which are stored, and the figures made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from scaling_ood.datasets import StoredShards
from scaling_ood.images import read_image, recorded_files
from scaling_ood.images.recorded import LABEL
from scaling_ood.images.scenes import read_labels
from scaling_ood.parameters.segmentation import SceneReportingSpec, SegmenterSpec
from scaling_ood.pipelines.extraction import Tensors, image_set_of
from scaling_ood.pipelines.metric_reporting.scene_tables import score_pixels
from scaling_ood.pipelines.scene_extraction import stored_scenes
from scaling_ood.pipelines.score_extraction.scene_nodes import build_scene_detector
from scaling_ood.plans import Part, Plan, digest
from scaling_ood.report import SceneExample
from scaling_ood.scene_preparation import ScenePreparation

EXAMPLES = "examples"
"""Part that holds the scenes that are shown, of the first seed; the others, `seed<s>-<shard>`, hold what is kept."""


def plan_score_maps(
    scores: dict[str, Any],
    outputs: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: SegmenterSpec,
    reporting: SceneReportingSpec,
) -> Plan[Tensors]:
    """Plan the score maps (H, W) by scene id: of the scenes that are shown, and with `keep_score_maps` of all."""
    prepared = ScenePreparation.model_validate(preparation)
    shown = chosen_scenes(manifest, reporting.examples)
    shards = [name for name in outputs.parts if image_set_of(name) == "test"] if reporting.keep_score_maps else []
    parts = [
        Part(EXAMPLES, len(shown)),
        *(Part(f"seed{seed}-{name}", int(outputs.parts[name]["items"])) for seed in spec.seeds for name in shards),
    ]

    def produce(missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        detector = build_scene_detector(scores["detector"], scores["options"], prepared)
        read = partial(stored_scenes, outputs, manifest, prepared, "test")
        for part in missing:
            seed = spec.seeds[0] if part.name == EXAMPLES else int(part.name.split("-")[0].removeprefix("seed"))
            found = read(shown if part.name == EXAMPLES else _of_shard(part.name, outputs, manifest))
            yield part.name, {str(s.row["id"]): torch.from_numpy(score_pixels(detector, s, seed)) for s in found}

    key = digest(scores["key"], shown, reporting.keep_score_maps)
    return Plan(key, [] if scores["gap"] else parts, produce, {"detector": scores["detector"]})


def chosen_scenes(manifest: pd.DataFrame, count: int) -> list[str]:
    """Ids of a few test scenes with an anomaly, the same for every detector: drawn by a fixed seed."""
    ids = manifest.loc[(manifest["image_set"] == "test") & (manifest["anomalous"] > 0), "id"].to_numpy()
    drawn = np.random.default_rng(0).permutation(len(ids))[:count]
    return [str(name) for name in ids[np.sort(drawn)]]


def scene_examples(
    maps: Mapping[str, StoredShards], manifest: pd.DataFrame, prepared: ScenePreparation
) -> list[SceneExample]:
    """The scenes that are shown, with each detector's stored map; detectors without one are left out."""
    scores = {name: one.read(EXAMPLES) for name, one in maps.items() if EXAMPLES in one.parts}
    labels, shown = prepared.label_map, {name for tensors in scores.values() for name in tensors}
    examples = []
    rows = manifest[manifest["id"].isin(shown)]
    files = (recorded_files(rows, prepared.folder, kind) for kind in ("", LABEL))
    for name, photograph, label in zip(rows["id"], *files, strict=True):
        ids = labels.apply(read_labels(label), label.path)
        image = read_image(photograph, prepared.orientation).resize(ids.shape[::-1])
        own = {detector: tensors[name].numpy() for detector, tensors in scores.items()}
        examples.append(SceneExample(name, np.asarray(image), labels.palette[ids], own))
    return examples


def _of_shard(part: str, outputs: StoredShards, manifest: pd.DataFrame) -> list[str]:
    """Ids of the scenes in the shard of outputs that a part of maps belongs to."""
    shards = [name for name in outputs.parts if image_set_of(name) == "test"]
    sizes = [int(outputs.parts[name]["items"]) for name in shards]
    number = shards.index(part.split("-", 1)[1])
    start = sum(sizes[:number])
    return manifest.loc[manifest["image_set"] == "test", "id"].iloc[start : start + sizes[number]].tolist()
