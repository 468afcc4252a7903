"""Logits of scenes that a person brings, in place of photographs and a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from scaling_ood.evaluation.provided_pass import ProvidedScenePass
from scaling_ood.images.scenes import OWN_OUTPUTS, LabelMap
from scaling_ood.images.scenes.labels import ANOMALY, VOID
from scaling_ood.models import Forward
from scaling_ood.parameters.segmentation import SceneDataSpec
from scaling_ood.parameters.setting import ExtractionSpec
from scaling_ood.products.plans import Plan
from scaling_ood.products.preparation import Manifest, Place
from scaling_ood.products.stored import StoredModel, Tensors
from scaling_ood.provided import ProvidedError
from scaling_ood.provided.scenes import ENDINGS, read_logits, survey_scenes
from scaling_ood.provided.sets import class_names
from scaling_ood.storage import local

OUTPUTS = "outputs"
"""The place of the logits in the record."""


def own_labels(roots: Mapping[str, str], data: SceneDataSpec, folder: str) -> LabelMap:
    """Label ids of the layout `own_outputs`: the number of each class of the logits, 254 anomalous, 255 void.

    Raises:
        ProvidedError: There are no logits, or another number of names of classes.
    """
    files = local(f"{roots['photographs']}/{data.outputs}", "outputs are read").rglob("*")
    first = next((place for place in sorted(files) if place.suffix in ENDINGS), None)
    if first is None:
        raise ProvidedError(f"{roots['photographs']}/{data.outputs} holds no logits ({', '.join(ENDINGS)})")
    classes, names = len(read_logits(first)), class_names(local(folder, "outputs are read"))
    if names and len(names) != classes:
        raise ProvidedError(f"classes.txt names {len(names):,} classes, the logits have {classes:,}")
    named = names or [f"class {number}" for number in range(classes)]
    ids: dict[int, int | str] = {number: number for number in range(classes)}
    return LabelMap.from_ids(OWN_OUTPUTS, {**ids, ANOMALY: "anomaly", VOID: "void"}, dict(enumerate(named)))


def written_out(data: SceneDataSpec, labels: LabelMap) -> dict[str, Any]:
    """What each id means, where no label map that ships says it."""
    if data.layout == OWN_OUTPUTS:
        ids = {row.raw_id: row.role if row.train_id is None else row.train_id for row in labels.rows}
        return {"label_ids": ids, "label_names": {row.raw_id: row.name for row in labels.rows}}
    return {"label_ids": data.paired.ids, "label_names": data.paired.names} if data.paired else {}


def with_logits(rows: pd.DataFrame, labels: LabelMap, folder: str) -> pd.DataFrame:
    """The scenes, whose content is that of their logits.

    Raises:
        ProvidedError: Anything that is wrong with them, or other classes than the labels have.
    """
    scenes = [name.split("/", 1)[1] for name in rows["id"]]
    sizes = list(zip(rows["height"], rows["width"], strict=True))
    classes, contents = survey_scenes(local(folder, "outputs are read"), scenes, sizes)
    if classes != len(labels.classes):
        raise ProvidedError(
            f"the logits have {classes:,} classes, the label map {labels.name} {len(labels.classes):,}: "
            f"{', '.join(labels.classes[:10])}"
        )
    return rows.assign(content=contents["content"].to_numpy())


def logits_place(data: SceneDataSpec) -> dict[str, Place]:
    """Where the logits are."""
    return {} if data.outputs is None else {OUTPUTS: Place(root="photographs", folder=data.outputs)}


def plan_given_scenes(
    model: StoredModel, manifest: Manifest, sets: Sequence[str], extraction: ExtractionSpec, setting: str
) -> Plan[Tensors]:
    """Plan the copying of what was brought into shards; see `own_outputs.plan_given`."""
    make = ProvidedScenePass(
        manifest,
        dict,
        ["logits"],
        Forward("cpu", "float32"),
        getattr(torch, extraction.stored),
        extraction.shard_images,
        setting,
        "the network whose outputs were brought",
        manifest.folders[OUTPUTS],
    )
    about = {**model.about, **make.about(), "model_key": model.origin.key, "validated": []}
    return Plan(make.parts(sets), make, about)
