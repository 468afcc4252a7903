"""Outputs that a person brings, in place of images and a network: what the settings of whole images share of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from scaling_ood.evaluation.passes import HEADS
from scaling_ood.evaluation.provided_pass import ProvidedPass
from scaling_ood.images.manifest import COLUMNS, LEFT_OUT, left_out, set_digest
from scaling_ood.models import Forward
from scaling_ood.parameters.common import reserved_names, unfit_names
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.outputs import OutputsDataSpec
from scaling_ood.parameters.setting import ExtractionSpec
from scaling_ood.products.keys import digest
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.preparation import Classes, Manifest, Place, Preparation
from scaling_ood.products.stored import StoredModel, Tensors
from scaling_ood.provided import Provided, ProvidedError, read_provided, survey
from scaling_ood.provided.sets import IN_DIST
from scaling_ood.tasks.findings import find
from scaling_ood.tasks.origins import tell_origins

TargetColumns = Callable[[pd.Series, Sequence[str]], pd.DataFrame]
"""Targets as text, or None, and the names of the classes, to the columns of a setting's manifest."""


def prepare_outputs(
    provided: Provided,
    data: OutputsDataSpec,
    whose: tuple[str, str],
    roots: Mapping[str, str],
    sigmoid: bool,
    columns: TargetColumns,
) -> tuple[Manifest, pd.DataFrame]:
    """The manifest of what was brought: a row per image of which there are outputs.

    Args:
        provided: All sets.
        data: What is said of them.
        whose: Setting, and id of the benchmark.
        roots: Folder of what was brought, as the `photographs`; empty where it is in memory.
        sigmoid: Whether a sigmoid follows the logits.
        columns: The setting's own columns.

    Returns:
        Manifest; files that are not read.

    Raises:
        ProvidedError: Anything that is wrong with them, a line each.
        SharedImagesError: Too many rows stand on both sides.
    """
    names = [*unfit_names("OOD set", provided.ood), *reserved_names(provided.ood)]
    if names:
        raise ProvidedError("\n".join(names))
    found = survey(provided, sigmoid)
    if found.multi_hot is not None and found.multi_hot != sigmoid:
        shape = "(N, C), 1 for each class that an image shows" if sigmoid else "(N,), one class an image"
        raise ProvidedError(f"targets of {whose[0]} are {shape}")
    classes = tuple(provided.classes) or tuple(f"class {number}" for number in range(found.classes))
    known = found.rows["image_set"].isin(IN_DIST)
    target = found.rows["target"].where(known, None)
    constant: dict[str, Any] = {
        "path": "",
        "split": "all",
        "orientation": 1,
        "bits": 8,
        "bytes": -1,
        "modified_ns": -1,
        "look": "",
    }
    rows = found.rows.assign(**constant, data_set=found.rows["image_set"].where(~known, data.in_dist))
    rows = pd.concat([rows, columns(target, classes)], axis=1).drop(columns="target")
    order = {name: number for number, name in enumerate([*IN_DIST, *provided.ood])}
    rows = rows.sort_values("image_set", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    rows = rows[[*COLUMNS, *(name for name in rows if name not in COLUMNS)]]
    others = left_out(data.in_dist, dict.fromkeys(provided.others, "no set of outputs"))
    brought = Place(root="photographs", folder=data.outputs)
    places = dict.fromkeys([data.in_dist, *provided.ood], brought) if roots else {}
    told = find(rows, others, data, list(IN_DIST), "stored", origins=tell_origins(rows, places, roots), unreadable=0)
    by_set = {str(name): part for name, part in rows.groupby("image_set", sort=False)}
    record = Preparation(
        setting=whose[0],
        benchmark=whose[1],
        in_dist=data.in_dist,
        ood=provided.ood,
        places=places,
        classes=classes,
        sources=dict.fromkeys(provided.ood, "outputs"),
        images={name: len(part) for name, part in by_set.items()},
        digests={name: set_digest(part) for name, part in by_set.items()},
        of_classes=Classes(titles=classes),
        given={"logits": "", **({"features": ""} if found.features else {}), **_head(provided)},
        found=told,
    )
    return Manifest(rows, record, roots), pd.DataFrame(others, columns=list(LEFT_OUT))


def _head(provided: Provided) -> dict[str, str]:
    head = provided.head
    return {} if head is None else {"head": digest(*(each.numpy() for each in head))}


def plan_given(
    model: StoredModel,
    manifest: Manifest,
    sets: Sequence[str],
    read: Callable[[], Provided],
    extraction: ExtractionSpec,
    setting: str,
) -> Plan[Tensors]:
    """Plan the copying of what was brought into shards.

    Args:
        model: Of which nothing is known.
        manifest: All images.
        sets: Image sets that are copied.
        read: All that was brought.
        extraction: What is stored.
        setting: Whose outputs they are.
    """
    given = manifest.preparation.given
    make = ProvidedPass(
        manifest,
        dict,
        [name for name in given if name != "head"],
        Forward("cpu", "float32"),
        getattr(torch, extraction.stored),
        extraction.shard_images,
        setting,
        "the network whose outputs were brought",
        read,
    )
    heads = [Part(HEADS, 0)] if "head" in given else []
    return Plan([*heads, *make.parts(sets)], make, {**model.about, **make.about(), "model_key": model.origin.key})


def lacking(method: Method, prepared: Preparation, fit_set: str = "fit") -> str:
    """Why a detector has no meaning on what was brought; empty where it has."""
    detector = method.build()
    if missing := sorted(set(map(str, detector.needs)) - set(prepared.given)):
        return f"not applicable: there are no {', '.join(missing)} (there are: {', '.join(prepared.given)})"
    if detector.learns and not prepared.images.get(fit_set):
        return "not applicable: it learns from in-distribution images, and there is no set `fit`"
    return ""


ENVIRONMENTS = {
    "multi_class": "own_outputs",
    "multi_label": "own_outputs_multi_label",
    "segmentation": "own_outputs_segmentation",
}
"""Setting to the environment that ships for outputs of one's own."""


def environment_of(folder: Path) -> str:
    """The environment for the outputs in a folder, by what they look like.

    Logits beside label images are of pixels; targets (N, C) are of several classes an image; all else is of one class.

    Raises:
        ProvidedError: The folder holds no outputs.
    """
    if (folder / "labels").is_dir():
        return ENVIRONMENTS["segmentation"]
    sets = read_provided(str(folder)).sets
    targets = (read().targets for name in IN_DIST if name in sets for read in sets[name].parts)
    known = next((each for each in targets if each is not None), None)
    return ENVIRONMENTS["multi_label" if known is not None and known.ndim > 1 else "multi_class"]
