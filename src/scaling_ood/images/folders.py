"""Readers of images in folders: the general layouts, and what the readers of single data sets are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from scaling_ood.images.layouts import LayoutError
from scaling_ood.images.listing import LAYOUTS, Entry, Wanted
from scaling_ood.images.walking import LOOP, is_hidden, walk
from scaling_ood.wording import counted, listed

BESIDE = "image beside the folders that hold the others"

TRAINING = ("train", "training")
VALIDATION = ("val", "valid", "validation", "dev")
TESTING = ("test", "testing")
SPLITS = frozenset({*TRAINING, *VALIDATION, *TESTING})
"""Names of folders that are splits, in lower case, and no classes."""


class EmptyClassError(ValueError):
    """Class folders without a single image."""


@LAYOUTS.reader("image_folder", "<split>/<class>/<image>")
def _image_folder(root: Path, wanted: Wanted) -> list[Entry]:
    """ImageNet's layout: `<split>/<class>/*`, at any depth below the class."""
    splits = [split for split in subfolders(root) if wanted.split(split.name)]
    found = class_folders(root, [(split.name, entry) for split in splits for entry in subfolders(split)])
    bare = [one for split in splits if not subfolders(split) for one in beside(root, split, split.name)]
    return found + bare + beside(root, root)


@LAYOUTS.reader("class_folders", "<class>/<image>")
def _class_folders(root: Path, wanted: Wanted) -> list[Entry]:
    """A folder of classes without splits, as one supercategory of Species: `<class>/*`, at any depth."""
    folders = subfolders(root)
    # The whole of ImageNet has 21,841 folders: a benchmark of 20 must neither walk through the others nor mind if they
    # are empty.
    entries = class_folders(root, [("all", folder) for folder in folders if wanted.of_class(folder.name)])
    # A class may be called `train`, but its images then lie in it and not in classes below it.
    nested = not any(entry.path.count("/") == 1 for entry in entries if not entry.left_out)
    if folders and nested and wanted.classes is None and all(folder.name.lower() in SPLITS for folder in folders):
        raise LayoutError(f"the folders of {root} are splits with classes, and not classes")
    return entries + ([] if folders else beside(root, root))


@LAYOUTS.reader("flat", "<image>")
def _flat(root: Path, _wanted: Wanted) -> list[Entry]:
    """A folder of images without classes or splits, at any depth."""
    return entries_in(root, root, "all")


@LAYOUTS.reader("tiny_imagenet", "train/<wnid>/images/<image>", ["wnids.txt"])
def _tiny_imagenet(root: Path, _wanted: Wanted) -> list[Entry]:
    """Tiny-ImageNet's official layout: `train/<wnid>/images/*`; `val` and `test` are flat and not looked at."""
    if not (root / "train").is_dir():
        raise FileNotFoundError(f"no folder {root / 'train'}")
    return class_folders(root, [("train", entry) for entry in subfolders(root / "train")], "images")


@LAYOUTS.reader("class_prefix", "<wnid>_<name>.<suffix>")
def _class_prefix(root: Path, _wanted: Wanted) -> list[Entry]:
    """A folder of `<wnid>_<name>.<suffix>`, at any depth: the text before the first underscore is the class."""
    return [replace(one, class_name=_prefix(one)) for one in entries_in(root, root, "all")]


def _prefix(entry: Entry) -> str:
    return "" if entry.left_out else Path(entry.path).name.split("_", 1)[0]


@LAYOUTS.reader("flat_splits", "<split>/<image>")
def _flat_splits(root: Path, _wanted: Wanted) -> list[Entry]:
    """Folders of unlabelled images, one per split: `<split>/*`, at any depth; label maps, `<split>annot`, are not."""
    splits = [split for split in subfolders(root) if not split.name.endswith("annot")]
    return [one for split in splits for one in entries_in(root, split, split.name)] + beside(root, root)


def class_folders(
    root: Path,
    folders: Iterable[tuple[str, Path]],
    inside: str = "",
    class_name: Callable[[Path], str] = lambda folder: folder.name,
) -> list[Entry]:
    """The files of class folders, at any depth, and those that lie beside the folders.

    Args:
        root: The data set's folder.
        folders: Split and folder of each class.
        inside: Folder below each class folder that holds the images; images outside of it are left out.
        class_name: A class's name from its folder.

    Raises:
        EmptyClassError: Folders without an image; all are named, with what they hold.
    """
    entries, empty, parents = [], [], {}
    for split, folder in folders:
        parents[folder.parent] = split
        found = entries_in(root, folder / inside, split, class_name(folder))
        if inside:
            found += [one for one in beside(root, folder, split) if one.left_out == BESIDE]
        if all(one.left_out for one in found) and not any(one.left_out == LOOP for one in found):
            empty.append(folder.relative_to(root).as_posix() + _held(found))
        entries += found
    if empty:
        raise EmptyClassError(f"{len(empty)} class folders of {root.name} hold no image: {listed(empty)}")
    return entries + [one for parent, split in parents.items() for one in beside(root, parent, split)]


def entries_in(root: Path, folder: Path, split: str, class_name: str = "", deep: bool = True) -> list[Entry]:
    """Every file of a folder, at any depth, as one of a split and class; left out are those that are no image."""
    return [
        Entry(found.path.relative_to(root).as_posix(), split, class_name, found.left_out)
        for found in walk(folder, deep=deep)
    ]


def beside(root: Path, folder: Path, split: str = "") -> list[Entry]:
    """What lies in a folder beside the sub-folders that hold the images: all of it is left out."""
    return [replace(one, left_out=one.left_out or BESIDE) for one in entries_in(root, folder, split, deep=False)]


def subfolders(root: Path) -> list[Path]:
    """The visible folders of a folder, sorted."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))


def first_there(root: Path, places: Sequence[str]) -> Path | None:
    """The first of several places below a folder that exists."""
    return next((root / place for place in places if (root / place).exists()), None)


def _held(found: Sequence[Entry]) -> str:
    return f" ({counted(Counter(one.left_out for one in found))})" if found else ""
