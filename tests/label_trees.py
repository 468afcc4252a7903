"""Data sets of several labels per image, and the OOD classes, in the official layouts: every folder, tiny images."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from coco_documents import coco_document
from PIL import Image
from voc_documents import voc_annotation

from scaling_ood.images.multi_label.voc import CLASSES
from scaling_ood.images.tables import class_table

SIZE = (40, 56)
"""Height and width in pixels."""
COCO_GAPS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
"""Ids below 91 that no category of COCO has."""
WNIDS = tuple(class_table("multi_label_ood")["wnid"])
"""The paper's 20 OOD classes."""


def photograph(path: Path, random: np.random.Generator) -> None:
    """An image of chance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path, "JPEG")


def voc(root: Path, images: Mapping[str, int]) -> None:
    """`VOCdevkit` with both editions: that of 2007 annotates its test split, that of 2012 one image of it."""
    for year in (2007, 2012):
        base, random = root / f"VOCdevkit/VOC{year}", np.random.default_rng(year)
        names: dict[str, list[str]] = {}
        for part, (split, count) in enumerate(images.items()):
            names[split] = [f"{year + part}_{number:06d}" for number in range(1, count + 1)]
            for number, name in enumerate(names[split]):
                photograph(base / f"JPEGImages/{name}.jpg", random)
                if split != "test" or year == 2007 or number == 0:
                    shown = random.choice(CLASSES, 3, replace=False)
                    objects = [(each, int(place == 0)) for place, each in enumerate(shown)]
                    write(base / f"Annotations/{name}.xml", voc_annotation(name, objects))
        names["trainval"] = sorted(names["train"] + names["val"])
        for split, listed in names.items():
            write(base / f"ImageSets/Main/{split}.txt", "".join(f"{name}\n" for name in listed))
        write(base / "ImageSets/Main/dog_train.txt", "".join(f"{name} -1\n" for name in names["train"]))


def coco(root: Path, images: Mapping[str, int]) -> None:
    """COCO 2014: boxes of train and val, names alone of test; the first image of a split shows nothing."""
    random = np.random.default_rng(2014)
    categories = {number: f"thing {number}" for number in range(1, 91) if number not in COCO_GAPS}
    for split, count in images.items():
        files = {number: f"COCO_{split}2014_{number:012d}.jpg" for number in range(1, count + 1)}
        for file in files.values():
            photograph(root / f"{split}2014/{file}", random)
        boxes = [(image, int(random.choice([*categories])), rank == 0) for image in files for rank in range(3)]
        document = coco_document(files, [box for box in boxes if box[0] > 1], categories)
        if split == "test":
            del document["annotations"]
        write(root / f"annotations/{'image_info' if split == 'test' else 'instances'}_{split}2014.json", document)


def unseen_classes(root: Path, wnids: Iterable[str] = WNIDS) -> None:
    """One folder for each synset, with one photograph."""
    random = np.random.default_rng(0)
    for wnid in wnids:
        photograph(root / f"{wnid}/{wnid}_{random.integers(1, 9999)}.JPEG", random)


def write(path: Path, content: str | Mapping) -> None:
    """A text file, or a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
