"""From the folders of a multi-label benchmark to its manifest, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from scaling_ood.images.manifest import (
    COLUMNS,
    Part,
    classes_of_table,
    left_out,
    partition,
    quarantine,
    quarantine_table,
    read_folder,
)
from scaling_ood.images.multi_label.labels import join_labels
from scaling_ood.images.multi_label.layouts import MultiLabelSource, read_listing
from scaling_ood.images.tables import class_table

UNSEEN = "multi_label_ood"
"""Table of the paper's 20 OOD classes."""


@dataclass(frozen=True)
class UnseenSource:
    """An OOD set: images of classes that the in-distribution set does not have.

    Attributes:
        name: Starts every id, and is the image set's name.
        folder: The data set's own folder.
        layout: A layout of `images/layouts.py`.
        table: Shipped table of the classes that must be there; None takes every class of the folder.
        column: With `value`: which of the table's classes, such as `imagenet_21k_p` and `yes`.
        value: None takes them all.
    """

    name: str
    folder: str | Path
    layout: str = "class_folders"
    table: str | None = UNSEEN
    column: str = "wnid"
    value: str | None = None


class Prepared(NamedTuple):
    """A benchmark's images.

    Attributes:
        manifest: `COLUMNS` of `images/manifest.py` and `labels`, see `labels.py`; OOD images are unlabelled.
        quarantine: Unreadable images, and files that are left out: `id`, `data_set`, `path`, `problem`.
        classes: Names of the in-distribution classes, in the order of their indices.
    """

    manifest: pd.DataFrame
    quarantine: pd.DataFrame
    classes: tuple[str, ...]


def list_multi_label(source: MultiLabelSource) -> tuple[pd.DataFrame, tuple[str, ...], pd.DataFrame]:
    """In-distribution images before they have a role, the names of the classes, and the files that are left out.

    Returns:
        Rows of a manifest without `image_set` and `content`, sorted by split and id; classes; `LEFT_OUT`.

    Raises:
        ValueError, FileNotFoundError, AnnotationError: What `read_listing` raises.
    """
    classes, images, others = read_listing(source)
    rows = [(f"{source.name}/{each.key}", each.path, each.split, join_labels(each.labels)) for each in images]
    frame = pd.DataFrame(rows, columns=["id", "path", "split", "labels"])
    return (
        frame.assign(data_set=source.name, number=-1, label=-1, class_name=""),
        classes,
        left_out(source.name, others),
    )


def list_unseen(source: UnseenSource) -> pd.DataFrame:
    """Rows of an OOD set, whose `class_name` is the folder's: the first part of `read_unseen`."""
    return read_unseen(source)[0]


def read_unseen(source: UnseenSource) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of an OOD set, whose `class_name` is the folder's, and the files that are left out.

    Raises:
        PartitionError: Classes of the table have no folder; all of them are named.
        FileNotFoundError: The folder is missing.
        EmptyClassError: Folders of these classes hold no image; all of them are named.
    """
    wanted, titles = None, {}
    if source.table is not None:
        wanted = classes_of_table(source.table, source.column, source.value)
        titles = dict(class_table(source.table)[["wnid", "name"]].itertuples(index=False, name=None))
    rows, others = read_folder(source.name, str(source.folder), source.layout, class_names=wanted, titles=titles)
    return rows.assign(image_set=source.name, label=-1, labels=None), others


def prepare_multi_label(
    source: MultiLabelSource,
    parts: Mapping[str, Part],
    unseen: Sequence[UnseenSource] = (),
    seed: int = 0,
    workers: int = 2,
    most: float = 0.0,
) -> Prepared:
    """List, divide and check the images of a benchmark; nothing is copied.

    Args:
        source: In-distribution images. If it names no splits, those that the parts draw from are read.
        parts: Role to its claim on a split, see `partition`.
        unseen: OOD sets.
        seed: Of the division.
        workers: Images that are opened at a time.
        most: Largest tolerated share of unreadable images.

    Raises:
        ValueError, FileNotFoundError: What `list_multi_label`, `list_unseen`, `partition` and `quarantine` raise.
    """
    names = [source.name, *(each.name for each in unseen)]
    if len(set(names)) < len(names):
        raise ValueError(f"two data sets have the same name: {', '.join(names)}")
    splits = source.splits or sorted({part.split for part in parts.values()})
    known, classes, others = list_multi_label(replace(source, splits=splits))
    sets = [read_unseen(each) for each in unseen]
    rows = pd.concat([partition(known, parts, seed), *(ood for ood, _ in sets)], ignore_index=True)
    others = pd.concat([others, *(left for _, left in sets)], ignore_index=True)
    folders = {source.name: str(source.folder), **{each.name: str(each.folder) for each in unseen}}
    good, bad = quarantine(rows, folders, workers, most)
    return Prepared(good[[*COLUMNS, "labels"]].reset_index(drop=True), quarantine_table(bad, others), classes)
