"""The Describable Textures Dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scaling_ood.images.folders import class_folders, subfolders
from scaling_ood.images.layouts import LayoutError
from scaling_ood.images.listing import LAYOUTS, Entry, Wanted
from scaling_ood.wording import listed

SPLITS = ("train", "val", "test")


@LAYOUTS.reader(
    "dtd", "images/<class>/<image>, and perhaps labels/{train,val,test}1.txt", ["labels/train1.txt", "dtd/images"]
)
def _dtd(root: Path, _wanted: Wanted) -> list[Entry]:
    """DTD: `images/<class>/*.jpg`, in `dtd/` or without it; all of them.

    Where `labels/{train,val,test}1.txt` are there, they say the split of each image (the first of ten partitions), and
    must name every image once; otherwise every image is of the split `all`.
    """
    home = root if (root / "images").is_dir() else root / "dtd"
    if not (home / "images").is_dir():
        raise FileNotFoundError(f"no folder {root / 'images'}")
    entries = class_folders(root, [("all", folder) for folder in subfolders(home / "images")])
    lists = {split: home / "labels" / f"{split}1.txt" for split in SPLITS}
    if not any(path.is_file() for path in lists.values()):
        return entries
    absent = [path.name for path in lists.values() if not path.is_file()]
    if absent:
        raise FileNotFoundError(f"{home / 'labels'} lacks {', '.join(absent)}")
    images = [entry for entry in entries if not entry.left_out]
    named = {split: path.read_text(encoding="utf-8-sig").split() for split, path in lists.items()}
    prefix = (home / "images").relative_to(root).as_posix()
    split_of = {f"{prefix}/{name}": split for split, names in named.items() for name in names}
    _check(home, [entry.path for entry in images], split_of, sum(map(len, named.values())))
    return [replace(one, split="" if one.left_out else split_of[one.path]) for one in entries]


def _check(home: Path, images: list[str], split_of: dict[str, str], lines: int) -> None:
    problems = []
    if unlisted := sorted(set(images) - set(split_of)):
        problems.append(f"{len(unlisted):,} images are in no list: {listed(unlisted)}")
    if absent := sorted(set(split_of) - set(images)):
        problems.append(f"{len(absent):,} listed images are not there: {listed(absent)}")
    if lines > len(split_of):
        problems.append(f"{lines - len(split_of):,} images are listed more than once")
    if problems:
        raise LayoutError(f"{home}: {'; '.join(problems)}")
