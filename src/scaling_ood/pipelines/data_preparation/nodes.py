"""Nodes of data preparation."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from miniatures import MiniatureSpec, family_of, folders, render_folder, rendering_workers
from scaling_ood.datasets import ProvidedFile, StoredParts
from scaling_ood.images.class_lists import class_list
from scaling_ood.images.counts import count_differences
from scaling_ood.images.exif import Orientation, oriented, oriented_in_words
from scaling_ood.images.manifest import (
    Part,
    PartitionError,
    classes_of_table,
    left_out,
    list_noise,
    partition,
    quarantine,
    quarantine_table,
    read_folder,
    sample,
    set_digest,
)
from scaling_ood.images.one_sided import refuse_one_sided_classes
from scaling_ood.images.species import split_species
from scaling_ood.images.tables import class_table
from scaling_ood.images.wording import listed as some_of
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.data_sets import DataSets, DataSpec, FolderSpec, NoiseSpec, PartSpec
from scaling_ood.parameters.multi_class import FabricationSpec
from scaling_ood.parameters.multi_label import LabelledSetSpec
from scaling_ood.pipelines.data_preparation.findings import find
from scaling_ood.plans import Part as PlanPart
from scaling_ood.plans import Plan, digest
from scaling_ood.preparation import Preparation

_logger = logging.getLogger(__name__)

Images = dict[str, NDArray[np.uint8]]

RENDERER = 1
"""To be raised with every change of the rendering, so that older images are not taken for the present ones."""


def fabricate_images(fabrication: FabricationSpec) -> Plan[Images]:
    """Plan the rendering of the miniature: `in_dist/{train,val}/<species>`, `ood/<supercategory>/<species>`."""
    spec = fabrication.request()
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
    checkpoint: ProvidedFile | None = None,
    curation: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """List, select, divide and check the images of a benchmark.

    Args:
        data_root: Folder that photographs' folders are relative to.
        data_sets: Library of data sets.
        data: What the benchmark takes from it.
        identity: Its id.
        runtime: For the number of images that are opened at a time.
        fabricated: Rendered images, where the benchmark has any.
        checkpoint: Weights, where they come from a file; they become part of every later key.
        curation: Images that are left out for their quality, where any data set is curated.

    Returns:
        Manifest; images and files that are not used, with the reason; the record of it all (see `Preparation`).

    Raises:
        PartitionError: A role gets no image, or fewer than it claims.
        TooManyUnreadableError: The share of unreadable images is above what is tolerated.
        OneSidedLabelsError: Images without a class, or classes that only the test has.
        SharedImagesError: Too many images stand on both sides.
    """
    used = data_sets.used_by(data)
    places = {
        name: folder_of(spec, data_root, fabricated) for name, spec in used.items() if isinstance(spec, FolderSpec)
    }
    dropped = frozenset() if curation is None else frozenset(curation["id"])
    found = {name: compared(name, spec, places, data.seed, dropped) for name, spec in used.items()}
    known = found[data.in_dist].rows
    classes = _classes(data.in_dist, used[data.in_dist], places, known)
    differences = [f"{name}: {told}" for name, one in found.items() for told in one.differences]
    for told in differences:
        _logger.warning("The copy of a data set differs from what was published. %s", told)
    roles = {role: claim(part) for role, part in _roles(data).items()}
    rows = [partition(known, roles, data.seed).assign(label=lambda r: r["class_name"].map(classes.index))]
    rows += [found[name].rows.assign(image_set=name, label=-1) for name in data.ood]
    manifest, bad = quarantine(
        pd.concat(rows, ignore_index=True), places, runtime.workers, data.most_unreadable, data.near_duplicates
    )
    others = pd.concat([one.left_out for one in found.values()], ignore_index=True)
    refuse_one_sided_classes(manifest)
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
        digests={
            str(name): set_digest(part, data.orientation) for name, part in manifest.groupby("image_set", sort=False)
        },
        unreadable=len(bad),
        seed=data.seed,
        differences=tuple(differences),
        checkpoint=checkpoint.sha256 if checkpoint else "",
        curated={} if curation is None else curation.groupby("data_set").size().to_dict(),
        trained_fit=int(manifest.loc[manifest["image_set"] == "fit", "id"].isin(_ids(manifest, "train")).sum()),
        orientation=data.orientation,
        oriented=counted_orientations(manifest, data.orientation),
        **find(manifest, others, data, roles),
    )
    return manifest, quarantine_table(bad, others), record.model_dump(mode="json")


def _ids(manifest: pd.DataFrame, image_set: str) -> set[str]:
    return set(manifest.loc[manifest["image_set"] == image_set, "id"])


def counted_orientations(manifest: pd.DataFrame, orientation: Orientation) -> dict[str, int]:
    """How many images of which set EXIF would turn; a person who runs this hears of it."""
    counts = oriented(manifest)
    if counts:
        _logger.warning(
            "Images with an EXIF orientation: %s (data.orientation)", oriented_in_words(counts, orientation)
        )
    return counts


def _place(folder: str) -> str:
    return folder if folder.startswith("ood/") else f"in_dist/{folder}"


def _render(
    spec: MiniatureSpec, sources: Mapping[str, str], missing: Sequence[PlanPart]
) -> Iterator[tuple[str, Images]]:
    with rendering_workers() as pool:
        names = [part.name for part in missing]
        yield from zip(names, pool.map(partial(render_folder, spec), [sources[name] for name in names]), strict=True)


def folder_of(spec: FolderSpec | LabelledSetSpec, data_root: str, fabricated: StoredParts[Any] | None) -> str:
    """Where a data set's images are."""
    if spec.source == "photographs":
        return f"{data_root}/{spec.folder}"
    if fabricated is None:
        raise ValueError(f"'{spec.folder}' is to be fabricated, but the setting has no `fabrication`")
    return f"{fabricated.folder}/{spec.folder}"


class Listed(NamedTuple):
    """One data set, before its images have a role.

    Attributes:
        rows: Those that are selected and drawn.
        differences: In what the whole copy differs from what was published, in words.
        left_out: Files that are not used, with the reason: `LEFT_OUT`.
    """

    rows: pd.DataFrame
    differences: list[str]
    left_out: pd.DataFrame


def compared(
    name: str,
    spec: FolderSpec | NoiseSpec,
    places: Mapping[str, str],
    seed: int,
    dropped: frozenset[str] = frozenset(),
) -> Listed:
    """Rows of one data set, and how complete the copy is that they are from."""
    if isinstance(spec, NoiseSpec):
        return Listed(list_noise(name, spec.images), [], left_out(name, {}))
    whole, others = read_copy(name, spec, places[name])
    published = spec.published
    differences = [] if published is None else count_differences(published.data_set, whole, published.part)
    rows = whole[~whole["id"].isin(dropped)].reset_index(drop=True) if dropped else whole
    if spec.species is not None:
        # Of the whole copy: which species are held out does not change with what is curated.
        split = split_species(whole["class_name"], spec.species.share, spec.species.seed)
        rows = rows[rows["class_name"].isin(getattr(split, spec.species.take))].reset_index(drop=True)
    return Listed(sample(rows, spec.images, seed), differences, others)


def read_copy(name: str, spec: FolderSpec, place: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every image of the splits and classes that count, before anything is drawn; files that are not used."""
    classes = spec.classes
    chosen = None if classes is None else classes_of_table(classes.table, classes.column, classes.value)
    return read_folder(name, place, spec.layout, spec.splits, chosen, _names(spec.titles))


def _classes(name: str, spec: FolderSpec | NoiseSpec, places: Mapping[str, str], known: pd.DataFrame) -> list[str]:
    """Names of the in-distribution classes; a label is an index into them."""
    there = sorted(known["class_name"].unique())
    if isinstance(spec, NoiseSpec) or spec.class_list is None:
        return there
    classes = list(class_list(spec.class_list, places[name]))
    if strange := sorted(set(there) - set(classes)):
        raise PartitionError(
            f"{name}: {len(strange):,} classes are not in the list {spec.class_list}, so that no head knows them: "
            f"{some_of(strange)}"
        )
    return classes


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
    names = _names(spec.titles)
    return tuple(names.get(name, name) for name in classes)


def _names(table: str | None) -> dict[str, str]:
    """Class to the name that a person reads, of a shipped table."""
    return {} if table is None else dict(class_table(table)[["wnid", "name"]].itertuples(index=False, name=None))
