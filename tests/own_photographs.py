"""Folders of photographs as a person has them: tiny, of plain colours with grain, no two files alike."""

import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 20, 20), "blue": (20, 20, 200), "green": (20, 200, 20)}
SPLITS = {"train": 12, "val": 10}


def photograph(path: Path, colour, size: int = 40) -> None:
    """One of a colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(str(path).encode()))
    pixels = np.array(colour) + random.normal(0, 20, (size, size, 3))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def class_folders(root: Path, images: int, classes=COLOURS) -> None:
    """`<class>/<image>`."""
    for name, colour in classes.items():
        for number in range(images):
            photograph(root / name / f"{number}.jpg", colour)


def split_folders(root: Path, splits=SPLITS) -> None:
    """`<split>/<class>/<image>`."""
    for split, images in splits.items():
        class_folders(root / split, images)


def flat(root: Path, colour=(200, 200, 20), images: int = 12, suffix: str = "png") -> None:
    """`<image>`."""
    for number in range(images):
        photograph(root / f"{number}.{suffix}", colour)


def coco(root: Path) -> None:
    """COCO's folders and files, one class in each image."""
    categories = [{"id": number, "name": name} for number, name in enumerate(COLOURS)]
    for split, images in {"train": 24, "val": 20}.items():
        for number in range(images):
            photograph(root / f"{split}2017" / f"{number}.jpg", [*COLOURS.values()][number % 3])
        listed = [{"id": number, "file_name": f"{number}.jpg"} for number in range(images)]
        boxes = [{"id": n, "image_id": n, "category_id": n % 3, "iscrowd": 0} for n in range(images)]
        (root / "annotations").mkdir(exist_ok=True)
        document = {"images": listed, "annotations": boxes, "categories": categories}
        (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))


def scene(photo: Path, label: Path, odd: bool) -> None:
    """A street of sky, road and trees, with an odd thing of id 7; id 255 is void."""
    ids = np.zeros((48, 64), np.uint8)
    ids[24:], ids[:, 50:], ids[0] = 1, 2, 255
    if odd:
        ids[10:30, 10:20] = 7
    palette = np.zeros((256, 3))
    palette[[0, 1, 2, 7]] = (120, 120, 250), (90, 90, 90), (30, 160, 30), (250, 30, 30)
    random = np.random.default_rng(zlib.crc32(str(photo).encode()))
    pixels = palette[ids] + random.normal(0, 8, (48, 64, 3))
    for path, array in ((photo, np.clip(pixels, 0, 255).astype(np.uint8)), (label, ids)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
