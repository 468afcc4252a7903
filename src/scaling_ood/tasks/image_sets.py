"""Listing, selecting and checking sets of whole images: what their settings share of data preparation."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from scaling_ood.images import LAYOUTS
from scaling_ood.images.counts import count_differences
from scaling_ood.images.curation import REPORT_COLUMNS, curate, read_flags
from scaling_ood.images.manifest import (
    Claim,
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
from scaling_ood.images.quality import QUALITY_MEASURES, measure_quality
from scaling_ood.images.species import split_species
from scaling_ood.images.tables import class_table
from scaling_ood.parameters.data_sets import (
    ClassSelection,
    CurationSpec,
    DataSpec,
    FolderSpec,
    NoiseSpec,
    PartSpec,
    PublishedSpec,
)
from scaling_ood.products.keys import digest
from scaling_ood.products.preparation import Classes, Manifest, Place, Preparation
from scaling_ood.storage import below
from scaling_ood.tasks.findings import find
from scaling_ood.tasks.origins import tell_origins
from scaling_ood.tasks.reading import Reading

_logger = logging.getLogger(__name__)

Roots = Mapping[str, str]


class Listed(NamedTuple):
    """One data set, before its images have a role.

    Attributes:
        rows: Those that are selected and drawn.
        differences: In what the whole copy differs from what was published, in words.
        left_out: Files that are not used, with the reason: `LEFT_OUT`.
    """

    rows: pd.DataFrame
    differences: Sequence[str]
    left_out: pd.DataFrame


class KnownImages(NamedTuple):
    """The in-distribution images, with the roles that they play.

    Attributes:
        rows: With `image_set`, and the setting's own columns.
        classes: Their names.
        of_classes: More about them.
    """

    rows: pd.DataFrame
    classes: Sequence[str]
    of_classes: Classes


def place_of(source: str, folder: str) -> Place:
    """Where a data set's files are."""
    return Place(root="fabricated" if source == "fabricated" else "photographs", folder=folder)


def folder_of(place: Place, roots: Roots) -> str:
    """The absolute folder of a place.

    Raises:
        ValueError: It is among rendered images, and there are none.
    """
    if place.root not in roots:
        raise ValueError(f"'{place.folder}' is to be fabricated, but the setting has no `fabrication`")
    return below(roots[place.root], place.folder)


def places_of(data: DataSpec) -> dict[str, Place]:
    """Places of the data sets that the library defines; noise has none."""
    folders = {name: spec for name, spec in data.sets.items() if isinstance(spec, FolderSpec)}
    return {name: place_of(spec.source, spec.folder) for name, spec in folders.items()}


def list_set(
    name: str, spec: FolderSpec | NoiseSpec, folder: str, seed: int, dropped: frozenset[str] = frozenset()
) -> Listed:
    """Rows of one data set, and how complete the copy is that they are from."""
    if isinstance(spec, NoiseSpec):
        return Listed(list_noise(name, spec.images), (), left_out(name, {}))
    whole, others = _read_copy(name, spec, folder)
    rows = whole[~whole["id"].isin(dropped)].reset_index(drop=True) if dropped else whole
    if spec.species is not None:
        # Of the whole copy: which species are held out does not change with what is curated.
        split = split_species(whole["class_name"], spec.species.share, spec.species.seed)
        rows = rows[rows["class_name"].isin(getattr(split, spec.species.take))].reset_index(drop=True)
    return Listed(sample(rows, spec.images, seed), compared(name, spec.published, whole), others)


def readings_of(
    data: DataSpec, places: Mapping[str, Place], roots: Roots, dropped: frozenset[str]
) -> dict[str, Reading]:
    """How each data set of the library is read, by its name; see `list_set`."""
    readings = {}
    for name, spec in data.sets.items():
        folder = folder_of(places[name], roots) if name in places else ""
        read = partial(list_set, name, spec, folder, data.seed, dropped)
        readings[name] = Reading(read, folder, spec.layout, LAYOUTS) if isinstance(spec, FolderSpec) else Reading(read)
    return readings


def compared(name: str, published: PublishedSpec | None, whole: pd.DataFrame) -> list[str]:
    """In what a copy differs from what was published, in words; nothing where it is a copy of nothing."""
    if published is None:
        return []
    return [f"{name}: {told}" for told in count_differences(published.data_set, whole, published.part)]


def prepare_images(
    data: DataSpec,
    whose: tuple[str, str],
    places: Mapping[str, Place],
    listed: Mapping[str, Listed],
    divide: Callable[[pd.DataFrame], KnownImages],
    columns: Mapping[str, Any],
    refuse: Callable[[pd.DataFrame, Sequence[str]], Sequence[str]],
    roots: Roots,
    workers: int,
    curation: pd.DataFrame | None,
) -> tuple[Manifest, pd.DataFrame]:
    """The manifest of what was listed.

    Args:
        data: What the benchmark is made of.
        whose: Setting, and id of the benchmark.
        places: Data set to its place.
        listed: Data set to what was found of it; the in-distribution set among them.
        divide: In-distribution rows to their roles and classes.
        columns: The setting's own columns, as OOD images have them.
        refuse: Refuses what cannot be trained or measured; returns notes about the rest.
        roots: Where photographs and rendered images are.
        workers: Images that are opened at a time.
        curation: Images that were left out for their quality.

    Raises:
        PartitionError: A role gets no image, or fewer than it claims.
        TooManyUnreadableError: The share of unreadable images is above what is tolerated.
        SharedImagesError: Too many images stand on both sides.
    """
    known = divide(listed[data.in_dist].rows)
    unseen = [listed[name].rows.assign(image_set=name, **columns) for name in data.ood]
    folders = {name: folder_of(place, roots) for name, place in places.items()}
    whole = pd.concat([known.rows, *unseen], ignore_index=True)
    rows, bad = quarantine(whole, folders, workers, data.most_unreadable, data.near_duplicates)
    rows = rows.reset_index(drop=True)
    others = pd.concat([one.left_out for one in listed.values()], ignore_index=True)
    notes = refuse(rows, known.classes)
    noise = {name: spec for name, spec in data.sets.items() if isinstance(spec, NoiseSpec)}
    by_set = {str(name): part for name, part in rows.groupby("image_set", sort=False)}
    found = find(
        rows,
        others,
        data,
        list(data.roles),
        data.orientation,
        origins=tell_origins(rows, places, roots),
        unreadable=len(bad),
        notes=notes,
        differences=[told for one in listed.values() for told in one.differences],
        curated={} if curation is None else dict(Counter(map(str, curation["data_set"]))),
    )
    trained = set(rows.loc[rows["image_set"] == "train", "id"])
    record = Preparation(
        setting=whose[0],
        benchmark=whose[1],
        in_dist=data.in_dist,
        ood=data.ood,
        places=dict(places),
        classes=tuple(known.classes),
        sources={name: data.sources[name] for name in data.ood},
        noise=noise,
        images={name: len(part) for name, part in by_set.items()},
        digests={name: _digest(part, data, noise.get(name)) for name, part in by_set.items()},
        seed=data.seed,
        trained_fit=int(rows.loc[rows["image_set"] == "fit", "id"].isin(trained).sum()),
        orientation=data.orientation,
        of_classes=known.of_classes,
        found=found,
    )
    return Manifest(rows, record, roots), quarantine_table(bad, others)


def _digest(rows: pd.DataFrame, data: DataSpec, noise: NoiseSpec | None) -> str:
    own = set_digest(rows, data.orientation)
    return own if noise is None else digest(own, noise.model_dump(mode="json"))


def divide(rows: pd.DataFrame, data: DataSpec) -> pd.DataFrame:
    """In-distribution rows with their roles, as `image_set`."""
    return partition(rows, {role: _claim(part) for role, part in data.roles.items()}, data.seed)


def titles_of(spec: FolderSpec | NoiseSpec | None, classes: Sequence[str]) -> tuple[str, ...]:
    """Names of classes that a person reads."""
    if not isinstance(spec, FolderSpec) or spec.titles is None:
        return tuple(name.replace("_", " ") for name in classes)
    names = _names(spec.titles)
    return tuple(names.get(name, name) for name in classes)


def curate_sets(data: DataSpec, roots: Roots, workers: int) -> pd.DataFrame:
    """Find the images that are left out for their quality; nothing is deleted.

    Returns:
        A row per image that is left out: `data_set`, `id`, `path`, `class_name`, `quality`, `reason`.

    Raises:
        FlagError: A list of flags cannot be used.
        MissingLibraryError: The measure needs a package that is not installed.
    """
    columns = ["data_set", *REPORT_COLUMNS]
    reports = []
    for name in data.curated():
        spec = data.sets[name]
        assert isinstance(spec, FolderSpec)
        assert spec.curation is not None
        folder = folder_of(place_of(spec.source, spec.folder), roots)
        images, _ = _read_copy(name, spec, folder)
        report = _curated(images, folder, spec.curation, roots["photographs"], workers)
        _logger.info("Curation leaves out %s of %s images of %s", f"{len(report):,}", f"{len(images):,}", name)
        if len(report):
            reports.append(report.assign(data_set=name))
    return pd.concat(reports or [pd.DataFrame(columns=columns)], ignore_index=True)[columns]


def _curated(images: pd.DataFrame, folder: str, spec: CurationSpec, data_root: str, workers: int) -> pd.DataFrame:
    flags = read_flags(f"{data_root}/{spec.flags}", images) if spec.flags is not None else None
    if spec.quality is None:
        return curate(images, flags=flags)[1]
    measure = QUALITY_MEASURES[spec.quality]
    paths = (folder + "/" + images["path"]).tolist()
    values = pd.Series(list(measure_quality(measure, paths, workers)), index=images["id"], dtype="float64")
    return curate(images, measure, values, spec.cutoff, flags)[1]


def _read_copy(name: str, spec: FolderSpec, folder: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every image of the splits and classes that count, before anything is drawn; files that are not used."""
    said = spec.classes
    chosen = classes_of_table(said.table, said.column, said.value) if isinstance(said, ClassSelection) else said
    return read_folder(name, folder, spec.layout, spec.splits, chosen, _names(spec.titles))


def _claim(spec: PartSpec) -> Claim:
    """What a role draws."""
    return Claim(spec.split, spec.per_class, spec.share)


def _names(table: str | None) -> dict[str, str]:
    """Class to the name that a person reads, of a shipped table."""
    return {} if table is None else dict(class_table(table)[["wnid", "name"]].itertuples(index=False, name=None))
