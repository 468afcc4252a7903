"""Nodes of data preparation for multi-label images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import pandas as pd

from miniatures import rendering_workers
from miniatures.composite import (
    SPLITS,
    CompositeSpec,
    composite_folders,
    instances,
    render_composites,
)
from scaling_ood.datasets import ImageFolder, StoredParts
from scaling_ood.images.manifest import COLUMNS, partition, quarantine, quarantine_table, set_digest
from scaling_ood.images.multi_label import AnnotationError, list_multi_label
from scaling_ood.images.one_sided import refuse_one_sided_labels, unlearned_labels
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.data_sets import DataSets, FolderSpec, NoiseSpec
from scaling_ood.parameters.multi_label import CompositeFabricationSpec, LabelDataSpec
from scaling_ood.pipelines.data_preparation.findings import find
from scaling_ood.pipelines.data_preparation.nodes import claim, compared, counted_orientations, folder_of
from scaling_ood.plans import Part, Plan, digest
from scaling_ood.preparation import Preparation

RENDERER = 1
"""To be raised with every change of the rendering, so that older images are not taken for the present ones."""

ANNOTATIONS = "in_dist/annotations"
Reading = tuple[pd.DataFrame, tuple[str, ...], pd.DataFrame]
"""Rows and classes of a data set, and the files of it that are left out."""

YEAR = 2017
"""COCO's folders and files bear their edition's; those that are rendered bear that of the usual one."""
_CHUNK = 50
"""Images that a process renders at a time."""


def fabricate_composites(fabrication: CompositeFabricationSpec) -> Plan[ImageFolder]:
    """Plan the rendering of scenes of several objects: `in_dist` in COCO's layout, `ood` and `control` by class."""
    spec = fabrication.request()
    parts = [Part(_place(name), folder.images) for name, folder in composite_folders(spec).items()]
    plan = [Part(ANNOTATIONS, len(SPLITS)), *parts]
    return Plan(digest("composite", RENDERER, spec), plan, partial(_render, spec), {"composite": vars(spec)})


def prepare_label_manifest(
    data_root: str,
    data_sets: DataSets,
    data: LabelDataSpec,
    identity: IdentitySpec,
    runtime: RuntimeSpec,
    fabricated: StoredParts[ImageFolder] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """List, divide and check the images of a benchmark; the manifest's `labels` are indices of the classes shown.

    Returns:
        Manifest; images and files that are not used, with the reason; the record of it all (see `Preparation`).

    Raises:
        AnnotationError: Anything that is wrong with annotations or folders, of all data sets at once.
        PartitionError: A role gets no image, or fewer than it claims.
        TooManyUnreadableError: The share of unreadable images is above what is tolerated.
        OneSidedLabelsError: Images to train or choose on are unlabelled, or no image of a set shows a class.
        SharedImagesError: Too many images stand on both sides.
    """
    used = {name: data_sets.root[name] for name in data.ood}
    places = {
        name: folder_of(spec, data_root, fabricated) for name, spec in used.items() if isinstance(spec, FolderSpec)
    }
    places[data.in_dist] = folder_of(data.labelled, data_root, fabricated)
    roles = {"train": claim(data.train), "fit": claim(data.fit), "test": claim(data.test)}
    source = data.labelled.labelled_source(
        data.in_dist, places[data.in_dist], sorted({r.split for r in roles.values()})
    )
    readings = {name: partial(_unlabelled, name, used[name], places, data.seed) for name in data.ood}
    (known, classes, _), *unseen = read = _read_all({data.in_dist: partial(list_multi_label, source), **readings})
    rows = [partition(known, roles, data.seed), *(ood for ood, _, _ in unseen)]
    others = pd.concat([left for _, _, left in read], ignore_index=True)
    manifest, bad = quarantine(
        pd.concat(rows, ignore_index=True), places, runtime.workers, data.most_unreadable, data.near_duplicates
    )
    manifest = manifest[[*COLUMNS, "labels"]].reset_index(drop=True)
    refuse_one_sided_labels(manifest)
    record = Preparation(
        benchmark=identity.benchmark,
        in_dist=data.in_dist,
        ood=data.ood,
        folders=places,
        classes=classes,
        titles=classes,
        groups=(),
        group_of_class=(),
        sources={name: used[name].source for name in data.ood},
        noise={name: spec for name, spec in used.items() if isinstance(spec, NoiseSpec)},
        images=manifest.groupby("image_set", sort=False).size().to_dict(),
        digests={
            str(name): set_digest(part, data.orientation) for name, part in manifest.groupby("image_set", sort=False)
        },
        unreadable=len(bad),
        seed=data.seed,
        orientation=data.orientation,
        oriented=counted_orientations(manifest, data.orientation),
        **find(manifest, others, data, roles, unlearned_labels(manifest, classes)),
    )
    return manifest, quarantine_table(bad, others), record.model_dump(mode="json")


def _unlabelled(name: str, spec: FolderSpec | NoiseSpec, places: Mapping[str, str], seed: int) -> Reading:
    found = compared(name, spec, places, seed)
    return found.rows.assign(image_set=name, label=-1, labels=None), (), found.left_out


def _read_all(readings: Mapping[str, Callable[[], Reading]]) -> list[Reading]:
    """What is read of each data set; a person who has to mend several hears of all of them."""
    found, problems = [], []
    for name, read in readings.items():
        try:
            found.append(read())
        except (ValueError, FileNotFoundError) as error:
            problems.append(str(error) if name in str(error) else f"{name}: {error}")
    if problems:
        raise AnnotationError("\n".join(problems))
    return found


def _place(folder: str) -> str:
    return f"in_dist/{folder}{YEAR}" if folder in SPLITS else folder


def _render(spec: CompositeSpec, missing: Sequence[Part]) -> Iterator[tuple[str, ImageFolder]]:
    """Render a few images of a folder at a time, in parallel: one folder may hold most of them."""
    sources = {_place(name): name for name in composite_folders(spec)}
    with rendering_workers() as pool:
        for part in missing:
            if part.name == ANNOTATIONS:
                yield part.name, dict(zip(*_annotations(spec, pool), strict=True))
                continue
            chunks = [range(start, min(start + _CHUNK, part.items)) for start in range(0, part.items, _CHUNK)]
            rendered = pool.map(partial(render_composites, spec, sources[part.name]), chunks)
            yield part.name, {name: pixels for chunk in rendered for name, pixels in chunk.items()}


def _annotations(spec: CompositeSpec, pool: Executor) -> tuple[list[str], list[dict[str, Any]]]:
    return [f"instances_{split}{YEAR}.json" for split in SPLITS], list(pool.map(partial(instances, spec), SPLITS))
