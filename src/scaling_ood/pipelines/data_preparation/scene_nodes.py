"""Nodes of data preparation for segmentation."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from scaling_ood.datasets import ImageFolder, ProvidedFile, StoredParts
from scaling_ood.fabrication.street import (
    Label,
    StreetFolder,
    StreetSpec,
    draw_street,
    street_folders,
    street_image_name,
)
from scaling_ood.images.scenes import anomalous_area, prepare_scenes, scenes_digest
from scaling_ood.parameters import IdentitySpec, RuntimeSpec
from scaling_ood.plans import Part, Plan, digest
from scaling_ood.scene_parameters import SceneDataSpec, StreetFabricationSpec
from scaling_ood.scene_preparation import ScenePreparation

RENDERER = 2
"""To be raised with every change of the rendering, so that older images are not taken for the present ones."""


def fabricate_scenes(fabrication: StreetFabricationSpec) -> Plan[ImageFolder]:
    """Plan the rendering of street scenes, in StreetHazards' layout; a part is a town."""
    spec = fabrication.street()
    parts = [Part(place, town.images) for name, town in street_folders(spec).items() for place in _places(name, town)]
    return Plan(digest("street", RENDERER, spec), parts, partial(_render, spec), {"street": vars(spec)})


def prepare_scene_manifest(
    data_root: str,
    data: SceneDataSpec,
    identity: IdentitySpec,
    runtime: RuntimeSpec,
    fabricated: StoredParts[ImageFolder] | None = None,
    checkpoint: ProvidedFile | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """List, check and divide the scenes of a benchmark.

    Returns:
        Manifest; scenes that were set apart with their problem; the record of the preparation.
    """
    folder = f"{data_root}/{data.folder}"
    if data.source == "fabricated":
        if fabricated is None:
            raise ValueError(f"'{data.folder}' is to be fabricated, but the setting has no `fabrication`")
        folder = f"{fabricated.folder}/{data.folder}"
    manifest, bad = prepare_scenes(data.scene_source(folder), runtime.workers, data.most_unreadable)
    labels, area = data.label_map(), anomalous_area(manifest)
    subsets = manifest["subsets"].str.split(";").explode() if "subsets" in manifest else pd.Series(dtype=str)
    record = ScenePreparation(
        benchmark=identity.benchmark,
        data_set=data.data_set,
        folder=folder,
        layout=data.layout,
        labels=labels.name,
        classes=labels.classes,
        subsets=tuple(name for name in subsets.unique() if name),
        images=manifest.groupby("image_set", sort=False).size().to_dict(),
        digests={str(role): scenes_digest(rows, labels) for role, rows in manifest.groupby("image_set", sort=False)},
        anomalous_share=area.mean_share,
        without_anomaly=area.without,
        unreadable=len(bad),
        label_ids=data.paired.ids if data.paired else {},
        label_names=data.paired.names if data.paired else {},
        checkpoint=checkpoint.sha256 if checkpoint else "",
    )
    return manifest, bad, record.model_dump(mode="json")


def _places(images: str, town: StreetFolder) -> list[str]:
    """Folders of one town: images, annotations, and in the control what was inserted."""
    return [place for place in (images, town.annotations, town.inserted) if place]


def _render(spec: StreetSpec, missing: Sequence[Part]) -> Iterator[tuple[str, ImageFolder]]:
    """Render each town once and hand out its folders, in the order of the parts."""
    wanted = {part.name for part in missing}
    towns = {name: [place for place in _places(name, town) if place in wanted] for name, town in _towns(spec)}
    names = [name for name, places in towns.items() if places]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for name, rendered in zip(names, pool.map(partial(render_town, spec), names), strict=True):
            yield from ((place, rendered[place]) for place in towns[name])


def _towns(spec: StreetSpec) -> list[tuple[str, StreetFolder]]:
    return list(street_folders(spec).items())


def render_town(spec: StreetSpec, name: str) -> dict[str, ImageFolder]:
    """All images of one town: folder to file name to pixels."""
    town = street_folders(spec)[name]
    folders: dict[str, ImageFolder] = {place: {} for place in _places(name, town)}
    for index in range(town.images):
        street = draw_street(spec, name, index)
        # In the control a known object is inserted; where, only this third layer tells.
        inserted = np.where(street.inserted(), Label.ANOMALY, street.labels).astype(np.uint8)
        layers = [street.image, street.labels, *([inserted] if town.inserted else [])]
        for place, pixels in zip(folders, layers, strict=True):
            folders[place][street_image_name(index)] = pixels
    return folders
