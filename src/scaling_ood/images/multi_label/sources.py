"""Data sets whose images may be of several classes at once: how one is read.

A reader is one function `(root, source, problems) -> Listing`, registered under its layout's name with
`@LAYOUTS.reader` and the attributes of a source that mean something to it. It opens annotations and no image, and notes
in `problems` whatever makes a label doubtful, so that the user sees all of it at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import pandas as pd

from scaling_ood.images.layouts import Layouts
from scaling_ood.images.manifest import left_out
from scaling_ood.images.multi_label.labels import join_labels
from scaling_ood.images.multi_label.listing import AnnotationError, Listing, MultiLabelImage, Problems
from scaling_ood.storage import listed_at_once, place
from scaling_ood.wording import unknown

HardObjects = Literal["counted", "ignored"]


@dataclass(frozen=True)
class MultiLabelSource:
    """A data set and how it is read.

    Attributes:
        name: Starts every id.
        folder: The data set's own folder.
        layout: One of `LAYOUTS`.
        splits: Which of its own splits to read; None reads all. Files of the others may be missing.
        year: Edition, where a folder holds several: `voc` and `coco`.
        hard_objects: Whether an object that is marked as `difficult` (`voc`), or a region marked as a crowd (`coco`,
            `iscrowd`), makes its class present. `counted` is what the paper's code did for both; with `ignored` a class
            is present only through an object without the mark.
        unlabelled: Splits whose annotations are left alone, because they are not meant for classification: `voc`. The
            test archive of 2012 annotates only images of its other competitions.
        manifest: File with one row per image, relative to the folder: `table`.
        classes: Columns of that file which are classes, in the order of the class indices: `table`.
    """

    name: str
    folder: str | Path
    layout: str
    splits: Sequence[str] | None = None
    year: int | None = None
    hard_objects: HardObjects = "counted"
    unlabelled: Sequence[str] = ()
    manifest: str = ""
    classes: Sequence[str] | None = None


Reader = Callable[[Path, MultiLabelSource, Problems], Listing]
_ALWAYS = ("name", "folder", "layout", "splits")


class MultiLabelLayout(NamedTuple):
    """A layout and what belongs to it.

    Attributes:
        read: Its reader.
        options: Attributes of a source that mean something to it, beside name, folder, layout and splits.
    """

    read: Reader
    options: tuple[str, ...]


LAYOUTS = Layouts(MultiLabelLayout)


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
    frame = frame.assign(data_set=source.name, number=-1, label=-1, class_name="")
    return frame, classes, left_out(source.name, others)


def read_listing(source: MultiLabelSource) -> Listing:
    """All images of a data set with the classes in them, sorted by split and key.

    Raises:
        ValueError: Unknown layout, split, year or rule, or an option that means nothing to the layout.
        FileNotFoundError: The data set's folder is missing.
        AnnotationError: Images or labels that cannot be relied on, all of it at once; or no image at all.
    """
    check_source(source)
    root = place(str(source.folder))
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    problems = Problems()
    classes, images, others = LAYOUTS[source.layout].read(listed_at_once(root), source, problems)
    _check_unique(images, problems)
    where = f"{source.name}, {source.layout} in {root}"
    problems.refuse(where)
    if not images:
        raise AnnotationError(f"{where}: no image")
    return Listing(classes, sorted(images, key=lambda image: (image.split, image.key)), others)


def check_source(source: MultiLabelSource) -> None:
    """Make sure that a source makes sense; nothing is read.

    Raises:
        ValueError: Unknown layout or rule, or options that mean nothing to the layout; all of these at once.
    """
    taken = LAYOUTS[source.layout].options
    wrong = [
        f"layout {source.layout} takes no {each.name} (it takes: {', '.join(taken)})"
        for each in fields(source)
        if each.name not in (*_ALWAYS, *taken) and getattr(source, each.name) not in (each.default, [])
    ]
    if source.hard_objects not in get_args(HardObjects):
        wrong.append(unknown("rule for hard objects", source.hard_objects, get_args(HardObjects)))
    if wrong:
        raise ValueError("; ".join(wrong))


def _check_unique(images: list[MultiLabelImage], problems: Problems) -> None:
    splits = defaultdict(list)
    for image in images:
        splits[image.path].append(image.split)
    for path, found in splits.items():
        if len(found) > 1:
            problems.add("images listed more than once", f"{path} in {' and '.join(found)}")
