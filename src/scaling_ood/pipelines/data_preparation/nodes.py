"""Nodes of data preparation."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_ood.datasets import StoredParts
from scaling_ood.fabrication import MiniatureSpec, family_of, folders, render_folder
from scaling_ood.images.manifest import (
    Part,
    classes_of_table,
    list_folder,
    list_noise,
    partition,
    quarantine,
    sample,
    set_digest,
)
from scaling_ood.images.tables import class_table
from scaling_ood.label_parameters import LabelledSetSpec
from scaling_ood.parameters import (
    DataSets,
    DataSpec,
    FabricationSpec,
    FolderSpec,
    IdentitySpec,
    NoiseSpec,
    PartSpec,
    RuntimeSpec,
)
from scaling_ood.plans import Part as PlanPart
from scaling_ood.plans import Plan, digest
from scaling_ood.preparation import Preparation

Images = dict[str, NDArray[np.uint8]]

RENDERER = 1
"""To be raised with every change of the rendering, so that older images are not taken for the present ones."""


def fabricate_images(fabrication: FabricationSpec) -> Plan[Images]:
    """Plan the rendering of the miniature: `in_dist/{train,val}/<species>`, `ood/<supercategory>/<species>`."""
    spec = fabrication.miniature()
    sources = {_place(name): name for name in folders(spec)}
    parts = [PlanPart(place, folders(spec)[name].images) for place, name in sources.items()]
    return Plan(digest("miniature", RENDERER, spec), parts, partial(_render, spec, sources), {"miniature": vars(spec)})


def prepare_manifest(
    data_root: str,
    data_sets: DataSets,
    data: DataSpec,
    identity: IdentitySpec,
    runtime: RuntimeSpec,
    fabricated: StoredParts[Images] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """List, select, divide and check the images of a benchmark.

    Args:
        data_root: Folder that photographs' folders are relative to.
        data_sets: Library of data sets.
        data: What the benchmark takes from it.
        identity: Its id.
        runtime: For the number of images that are opened at a time.
        fabricated: Rendered images, where the benchmark has any.

    Returns:
        Manifest; quarantined images with their problem; the record of the preparation (see `Preparation`).
    """
    used = data_sets.used_by(data)
    places = {
        name: folder_of(spec, data_root, fabricated) for name, spec in used.items() if isinstance(spec, FolderSpec)
    }
    known = listed(data.in_dist, used[data.in_dist], places, data.seed)
    classes = sorted(known["class_name"].unique())
    roles = {role: claim(part) for role, part in _roles(data).items()}
    rows = [partition(known, roles, data.seed).assign(label=lambda r: r["class_name"].map(classes.index))]
    rows += [listed(name, used[name], places, data.seed).assign(image_set=name, label=-1) for name in data.ood]
    manifest, bad = quarantine(pd.concat(rows, ignore_index=True), places, runtime.workers, data.most_unreadable)
    groups, group_of_class = _groups(data, classes)
    record = Preparation(
        benchmark=identity.benchmark,
        in_dist=data.in_dist,
        ood=data.ood,
        folders=places,
        classes=tuple(classes),
        titles=_titles(used[data.in_dist], classes),
        groups=groups,
        group_of_class=group_of_class,
        sources={name: used[name].source for name in data.ood},
        noise={name: spec for name, spec in used.items() if isinstance(spec, NoiseSpec)},
        images=manifest.groupby("image_set", sort=False).size().to_dict(),
        digests={str(name): set_digest(part) for name, part in manifest.groupby("image_set", sort=False)},
        unreadable=len(bad),
        seed=data.seed,
    )
    return manifest, bad, record.model_dump(mode="json")


def _place(folder: str) -> str:
    return folder if folder.startswith("ood/") else f"in_dist/{folder}"


def _render(
    spec: MiniatureSpec, sources: Mapping[str, str], missing: Sequence[PlanPart]
) -> Iterator[tuple[str, Images]]:
    # Not forked: the parent may hold threads of PyTorch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        names = [part.name for part in missing]
        yield from zip(names, pool.map(partial(render_folder, spec), [sources[name] for name in names]), strict=True)


def folder_of(spec: FolderSpec | LabelledSetSpec, data_root: str, fabricated: StoredParts[Any] | None) -> str:
    """Where a data set's images are."""
    if spec.source == "photographs":
        return f"{data_root}/{spec.folder}"
    if fabricated is None:
        raise ValueError(f"'{spec.folder}' is to be fabricated, but the setting has no `fabrication`")
    return f"{fabricated.folder}/{spec.folder}"


def listed(name: str, spec: FolderSpec | NoiseSpec, places: Mapping[str, str], seed: int) -> pd.DataFrame:
    """Rows of one data set, before they have a role."""
    if isinstance(spec, NoiseSpec):
        return list_noise(name, spec.images)
    classes = spec.classes
    chosen = None if classes is None else classes_of_table(classes.table, classes.column, classes.value)
    return sample(list_folder(name, places[name], spec.layout, spec.splits, chosen), spec.images, seed)


def _roles(data: DataSpec) -> dict[str, PartSpec]:
    roles = {"train": data.train, "fit": data.fit, "test": data.test}
    return {role: part for role, part in roles.items() if part is not None}


def claim(spec: PartSpec) -> Part:
    """What a role draws."""
    return Part(spec.split, spec.per_class, spec.share)


def _groups(data: DataSpec, classes: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if data.coarse_labels is None:
        return (), ()
    of_class = [family_of(name) for name in classes]
    names = sorted(set(of_class))
    return tuple(names), tuple(names.index(name) for name in of_class)


def _titles(spec: FolderSpec | NoiseSpec, classes: Sequence[str]) -> tuple[str, ...]:
    if isinstance(spec, NoiseSpec) or spec.titles is None:
        return tuple(name.replace("_", " ") for name in classes)
    table = class_table(spec.titles).set_index("wnid")["name"]
    return tuple(str(table.get(name, name)) for name in classes)
