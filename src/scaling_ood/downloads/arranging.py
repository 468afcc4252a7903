"""From the archives, as their hosts pack them, to the layouts that the benchmarks read.

Targets are built from the parts of a member's name that a pattern admits, never from the name itself, so that no
archive can write outside its folder. The topmost folder of an archive, which carries the commit, is dropped.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from scaling_ood.downloads.coco import coco_instances
from scaling_ood.downloads.packing import Archive
from scaling_ood.images import open_image
from scaling_ood.images.opening import RefusedImageError

TINY_IMAGENET_PER_CLASS = 60


def arrange_tiny_imagenet(archive: Archive, folder: Path) -> None:
    """`train/<wnid>/images/<wnid>_<0-59>.JPEG`, `wnids.txt`, `words.txt`: the first 60 of a class's 500 photographs."""
    for member, (wnid, number) in _members(archive, r"train/(n\d{8})/images/\1_(\d+)\.JPEG"):
        if int(number) < TINY_IMAGENET_PER_CLASS:
            _copy(archive, member, folder / "train" / wnid / "images" / f"{wnid}_{number}.JPEG")
    for member, (name,) in _members(archive, r"(wnids\.txt|words\.txt)"):
        _copy(archive, member, folder / name)


def arrange_camvid(archive: Archive, folder: Path) -> None:
    """`<split>/<frame>.png` and `<split>annot/<frame>.png` for `train`, `val` and `test`."""
    for member, (part, name) in _members(archive, r"CamVid/((?:train|val|test)(?:annot)?)/(\w+\.png)"):
        _copy(archive, member, folder / part / name)


def arrange_imagenet_sample(archive: Archive, folder: Path) -> None:
    """`<wnid>_<name>.JPEG`, one flat folder."""
    for member, (name,) in _members(archive, r"(n\d{8}_[^/]+\.JPEG)"):
        _copy(archive, member, folder / name)


def arrange_raccoon(archive: Archive, folder: Path) -> None:
    """`n02508213/raccoon-<n>.JPEG`: a class folder named by raccoon's WordNet id, as ImageNet has them."""
    for member, (stem,) in _members(archive, r"images/(raccoon-\d+)\.jpe?g"):
        _copy(archive, member, folder / "n02508213" / f"{stem}.JPEG")


def arrange_coco128(archive: Archive, folder: Path) -> None:
    """COCO's official layout: `<split>/<id>.jpg` and `annotations/instances_<split>.json`.

    Raises:
        ValueError: The YOLO labels cannot be converted, or an image cannot be opened.
    """
    for split in ("train2017", "val2017"):
        sizes: dict[str, tuple[int, int]] = {}
        for member, (stem,) in _members(archive, rf"images/{split}/(\d{{12}})\.jpg"):
            target = folder / split / f"{stem}.jpg"
            _copy(archive, member, target)
            try:
                sizes[target.name] = open_image(str(target)).size
            except RefusedImageError as error:
                raise ValueError(f"{member}: {error}") from error
        labels = {
            f"{stem}.jpg": archive.read(member).decode()
            for member, (stem,) in _members(archive, rf"labels/{split}/(\d{{12}})\.txt")
        }
        document = coco_instances(f"first {len(sizes)} images of COCO {split}", sizes, labels)
        target = folder / "annotations" / f"instances_{split}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(document), encoding="utf-8")


def arrange_places365_val(archive: Archive, folder: Path) -> None:
    """`Places365_val_<number>.jpg`, one flat folder."""
    for member, (name,) in _members(archive, r"(Places365_val_\d{8}\.jpg)"):
        _copy(archive, member, folder / name)


def arrange_places365_lists(archive: Archive, folder: Path) -> None:
    """The lists of Places365-Standard and of its categories, one flat folder."""
    lists = r"(categories_places365\.txt|places365_(?:train_standard|val|test)\.txt)"
    for member, (name,) in _members(archive, lists, top=r"(?:[^/]+/)?"):
        _copy(archive, member, folder / name)


def arrange_dtd(archive: Archive, folder: Path) -> None:
    """`images/<class>/<image>.jpg`, and the lists of the first of ten partitions, `labels/{train,val,test}1.txt`."""
    for member, (name,) in _members(archive, r"(images/[\w-]+/[\w-]+\.jpg|labels/(?:train|val|test)1\.txt)"):
        _copy(archive, member, folder / name)


def arrange_cifar10(archive: Archive, folder: Path) -> None:
    """`cifar-10-batches-py/`: five batches of training images, one of test images, and the names of the classes."""
    for member, (name,) in _members(archive, r"(data_batch_[1-5]|test_batch|batches\.meta)"):
        _copy(archive, member, folder / "cifar-10-batches-py" / name)


def arrange_lsun_test(archive: Archive, folder: Path) -> None:
    """`test_lmdb/data.mdb`; the file of its locks is made anew by who needs it."""
    for member, (name,) in _members(archive, r"(data\.mdb)"):
        _copy(archive, member, folder / "test_lmdb" / name)


def _members(archive: Archive, pattern: str, top: str = "[^/]+/") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Members whose path below the topmost folder matches, with the pattern's groups."""
    whole = re.compile(top + pattern)
    for member in archive.namelist():
        if match := whole.fullmatch(member):
            yield member, match.groups()


def _copy(archive: Archive, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
