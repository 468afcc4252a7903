"""Nodes of data preparation for segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from miniatures import rendering_workers
from miniatures.street import StreetSpec, render_town, street_folders
from scaling_ood.datasets import ImageFolder, ProvidedFile, StoredParts
from scaling_ood.images.manifest import quarantine_table
from scaling_ood.images.scenes import anomalous_area, read_scene_source, refuse_one_sided_scenes, scenes_digest
from scaling_ood.images.scenes.splits import ROLES
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.segmentation import SceneDataSpec, StreetFabricationSpec
from scaling_ood.pipelines.data_preparation.findings import find
from scaling_ood.pipelines.data_preparation.nodes import counted_orientations
from scaling_ood.plans import Part, Plan, digest
from scaling_ood.scene_preparation import ScenePreparation

RENDERER = 2
"""To be raised with every change of the rendering, so that older images are not taken for the present ones."""


def fabricate_scenes(fabrication: StreetFabricationSpec) -> Plan[ImageFolder]:
    """Plan the rendering of street scenes, in StreetHazards' layout; a part is a town."""
    spec = fabrication.request()
    parts = [Part(place, town.images) for name, town in street_folders(spec).items() for place in town.places(name)]
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
        Manifest; scenes and files that are not used, with the reason; the record of the preparation.

    Raises:
        UnpairedError, UnreadableLabelError, SplitError: The files, or their labels, do not fit together.
        TooManyUnreadableError: The share of unusable scenes is above what is tolerated.
        OneSidedLabelsError: No anomaly can be told from anything, or a class cannot be learned.
        SharedImagesError: Too many images stand on both sides.
    """
    folder = f"{data_root}/{data.folder}"
    if data.source == "fabricated":
        if fabricated is None:
            raise ValueError(f"'{data.folder}' is to be fabricated, but the setting has no `fabrication`")
        folder = f"{fabricated.folder}/{data.folder}"
    source = replace(data.scene_source(folder), looks=data.near_duplicates)
    labels, orientation = data.label_map(), data.orientation or "stored"
    manifest, bad, others = read_scene_source(source, runtime.workers, data.most_unreadable)
    refuse_one_sided_scenes(manifest, labels)
    area = anomalous_area(manifest)
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
        digests={
            str(role): scenes_digest(rows, labels, orientation)
            for role, rows in manifest.groupby("image_set", sort=False)
        },
        anomalous_share=area.mean_share,
        without_anomaly=area.without,
        unreadable=len(bad),
        label_ids=data.paired.ids if data.paired else {},
        label_names=data.paired.names if data.paired else {},
        checkpoint=checkpoint.sha256 if checkpoint else "",
        orientation=orientation,
        oriented=counted_orientations(manifest, orientation),
        **find(manifest, others, data, ROLES),
    )
    return manifest, quarantine_table(bad, others), record.model_dump(mode="json")


def _render(spec: StreetSpec, missing: Sequence[Part]) -> Iterator[tuple[str, ImageFolder]]:
    """Render each town once and hand out its folders, in the order of the parts."""
    wanted = {part.name for part in missing}
    folders = street_folders(spec).items()
    towns = {name: [place for place in town.places(name) if place in wanted] for name, town in folders}
    names = [name for name, places in towns.items() if places]
    with rendering_workers() as pool:
        for name, rendered in zip(names, pool.map(partial(render_town, spec), names), strict=True):
            for place in towns[name]:
                yield place, {**rendered[place]}
