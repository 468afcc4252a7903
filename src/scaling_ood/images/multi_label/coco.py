"""MS-COCO: one JSON file of boxes for each split."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from scaling_ood.images.listing import UNLISTED
from scaling_ood.images.multi_label.listing import Listing, MultiLabelImage, Problems, wanted_splits
from scaling_ood.images.multi_label.sources import LAYOUTS, HardObjects, MultiLabelSource
from scaling_ood.images.walking import walk

_MALFORMED = "malformed annotations"
_SPLITS = ("train", "val", "test")
_NAMED = re.compile(r"(?:(?:instances|image_info)_)?(?:train|val|test)(\d{4})(?:\.json)?")

Json = dict[str, Any]


class _Split(NamedTuple):
    """Where a split's files are, relative to the data set's folder; empty if not there."""

    name: str
    photographs: str
    instances: str
    image_info: str


@LAYOUTS.reader(
    "coco",
    "annotations/instances_<split><year>.json, and <split><year>/<image> or images/<split><year>/<image>",
    ["annotations/instances_*.json"],
    ("year", "hard_objects"),
)
def _coco(root: Path, source: MultiLabelSource, problems: Problems) -> Listing:
    """`annotations/instances_<split><year>.json`, and photographs in `<split><year>` or `images/<split><year>`.

    Splits are `train`, `val` and `test`. A split is unlabelled where `annotations/image_info_<split><year>.json` stands
    in for its boxes; a test split may also be a folder of photographs alone. Classes are the categories in the order of
    their ids: COCO's 80 ids reach up to 90. Images without a box are kept. Photographs that the JSON does not name are
    left out.
    """
    year = _year(root, source.year)
    there = {split.name: split for name in _SPLITS if any((split := _find(root, name, year))[1:])}
    categories: dict[int, str] = {}
    images: list[MultiLabelImage] = []
    left_out: dict[str, str] = {}
    for name in wanted_splits(source.splits, there):
        split = there[name]
        files = _photographs(root, split, problems)
        if not split.instances and not split.image_info:
            if name != "test":
                problems.add("annotations that are absent", f"annotations/instances_{name}{year}.json")
            images += [_image(split, year, file, None) for file, reason in sorted(files.items()) if not reason]
            left_out |= {f"{split.photographs}/{file}": reason for file, reason in files.items() if reason}
            continue
        document = _load(root, split, problems)
        own = dict(_categories(document, split, problems))
        if own and own != (categories := categories or own):
            problems.add("categories that differ from those of the first file", split.instances)
        listed = dict(_listed(document, split, problems))
        shown = _shown(document, split, own, listed, source.hard_objects, problems) if split.instances else None
        for number, file in listed.items():
            if split.photographs and file not in files:
                problems.add("images listed but absent", f"{split.photographs}/{file}")
            labels = None if shown is None else tuple(sorted(shown[number]))
            images.append(_image(split, year, file, labels))
        named = set(listed.values())
        others = {file: reason or UNLISTED for file, reason in files.items() if file not in named}
        left_out |= {f"{split.photographs}/{file}": reason for file, reason in others.items()}
    return Listing(tuple(categories[number] for number in sorted(categories)), images, left_out)


def _year(root: Path, wanted: int | None) -> int:
    """The edition: of the boxes, or of the folders where there are no boxes."""
    boxes = _years(root, "annotations/instances_*.json")
    years = boxes | _years(root, "annotations/image_info_*.json", "*[0-9]", "images/*[0-9]")
    fitting = (boxes or years) if wanted is None else years & {wanted}
    if len(fitting) == 1:
        return fitting.pop()
    if not years:
        raise ValueError(f"coco in {root}: neither annotations/instances_<split><year>.json nor a folder <split><year>")
    given = "is not given" if wanted is None else f"is {wanted}"
    there = ", ".join(map(str, sorted(years)))
    raise ValueError(f"coco in {root}: `year` says which edition to read, and {given} (there: {there})")


def _years(root: Path, *patterns: str) -> set[int]:
    names = [path.name for pattern in patterns for path in root.glob(pattern)]
    return {int(match[1]) for name in names if (match := _NAMED.fullmatch(name))}


def _find(root: Path, split: str, year: int) -> _Split:
    folders = [folder for folder in (f"{split}{year}", f"images/{split}{year}") if (root / folder).is_dir()]
    files = [f"annotations/{kind}_{split}{year}.json" for kind in ("instances", "image_info")]
    return _Split(split, folders[0] if folders else "", *(file if (root / file).is_file() else "" for file in files))


def _photographs(root: Path, split: _Split, problems: Problems) -> dict[str, str]:
    """Files of a split, relative to its folder, each with the reason why it is left out; empty for an image."""
    if not split.photographs:
        # A missing folder is one problem, not one for each photograph.
        problems.add("folders of photographs that are absent", split.name)
        return {}
    folder = root / split.photographs
    return {found.path.relative_to(folder).as_posix(): found.left_out for found in walk(folder)}


def _image(split: _Split, year: int, file: str, labels: tuple[int, ...] | None) -> MultiLabelImage:
    return MultiLabelImage(f"{split.name}{year}/{file}", f"{split.photographs}/{file}", split.name, labels)


def _load(root: Path, split: _Split, problems: Problems) -> dict[str, list[Json]]:
    """The three lists of a file; empty ones where they cannot be had."""
    name = split.instances or split.image_info
    needed = ("images", "annotations", "categories") if split.instances else ("images",)
    empty: dict[str, list[Json]] = {"images": [], "annotations": [], "categories": []}
    try:
        with (root / name).open(encoding="utf-8-sig") as file:
            # Outlines are most of the file, and nothing here looks at them.
            content = json.load(file, object_hook=_without_outline)
    except (OSError, ValueError, RecursionError) as error:
        problems.add(_MALFORMED, f"{name}: {error}")
        return empty
    lists = content if isinstance(content, dict) else {}
    for key in needed:
        entries = lists.get(key)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            problems.add(_MALFORMED, f"{name}: '{key}' is no list of objects")
            return empty
    return {key: lists[key] if key in needed else [] for key in empty}


def _without_outline(entry: Json) -> Json:
    entry.pop("segmentation", None)
    return entry


def _categories(document: Mapping[str, list[Json]], split: _Split, problems: Problems) -> Iterator[tuple[int, str]]:
    seen: set[object] = set()
    for position, entry in enumerate(document["categories"]):
        number, name = entry.get("id"), entry.get("name")
        if not isinstance(number, int) or not isinstance(name, str) or not name:
            problems.add(_MALFORMED, f"{split.instances}: categories[{position}] has no whole number as id, or no name")
        elif {number, name} & seen:
            problems.add(_MALFORMED, f"{split.instances}: category {number}, '{name}', is there twice")
        else:
            seen |= {number, name}
            yield number, name


def _listed(document: Mapping[str, list[Json]], split: _Split, problems: Problems) -> Iterator[tuple[int, str]]:
    seen: set[int] = set()
    for position, entry in enumerate(document["images"]):
        number, file = entry.get("id"), entry.get("file_name")
        where = f"{split.instances or split.image_info}: images[{position}]"
        if not isinstance(number, int) or not isinstance(file, str) or not file:
            problems.add(_MALFORMED, f"{where} has no whole number as id, or no file_name")
        elif number in seen:
            problems.add(_MALFORMED, f"{where} has the id {number} of another image")
        else:
            seen.add(number)
            yield number, file


def _shown(
    document: Mapping[str, list[Json]],
    split: _Split,
    categories: Mapping[int, str],
    listed: Mapping[int, str],
    hard_objects: HardObjects,
    problems: Problems,
) -> defaultdict[int, set[int]]:
    """Image id to the indices of its classes."""
    index = {number: position for position, number in enumerate(sorted(categories))}
    shown: defaultdict[int, set[int]] = defaultdict(set)
    for position, entry in enumerate(document["annotations"]):
        image, category, crowd = entry.get("image_id"), entry.get("category_id"), entry.get("iscrowd", 0)
        where = f"{split.instances}: annotations[{position}]"
        if not isinstance(image, int) or not isinstance(category, int) or crowd not in (0, 1):
            problems.add(_MALFORMED, f"{where} has no image_id or category_id, or an iscrowd that is not 0 or 1")
            continue
        if image not in listed:
            problems.add("annotations of images that are not listed", f"{where}: image {image}")
        if category not in index:
            problems.add("unknown categories", f"{where}: category {category}")
        elif not crowd or hard_objects == "counted":
            shown[image].add(index[category])
    return shown
