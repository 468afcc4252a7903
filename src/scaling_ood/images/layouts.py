"""Readers of the official on-disk layouts: which images does a data set hold, and of what class are they?

A reader is one function `(root) -> list[Entry]`, registered under the layout's name with `@layout`. It looks at names
and folders only and opens no image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True)
class Entry:
    """One image of a data set.

    Attributes:
        path: Relative to the data set's folder, with forward slashes.
        split: The data set's own split (`train`, `val`, …); `all` where it has none.
        class_name: Folder or synset name; empty where the layout has no classes.
    """

    path: str
    split: str
    class_name: str


class EmptyClassError(ValueError):
    """Class folders without a single image."""


Reader = Callable[[Path], list[Entry]]
ClassReader = Callable[[Path, Sequence[str]], list[Entry]]
_READERS: dict[str, Reader] = {}
_CLASS_READERS: dict[str, ClassReader] = {}


def layout(name: str, some_classes: ClassReader | None = None) -> Callable[[Reader], Reader]:
    """Register a reader under the name by which YAML asks for it.

    Args:
        name: The layout's name.
        some_classes: Lists some classes without looking at the others; by default everything is listed, then selected.
    """

    def register(reader: Reader) -> Reader:
        _READERS[name] = reader
        if some_classes is not None:
            _CLASS_READERS[name] = some_classes
        return reader

    return register


def layout_names() -> list[str]:
    """Every layout that can be read, in alphabetical order."""
    return sorted(_READERS)


def list_images(name: str, folder: Path, classes: Sequence[str] | None = None) -> list[Entry]:
    """The images of a data set, sorted by path.

    Args:
        name: A registered layout.
        folder: The data set's own folder.
        classes: Which classes to list; None lists all. One that is not there is left out.

    Raises:
        ValueError: Unknown layout.
        FileNotFoundError: The folder, or one that the layout needs, is missing.
        EmptyClassError: A class folder holds no image; all such folders are named.
    """
    if name not in _READERS:
        near = get_close_matches(name, _READERS, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"unknown layout '{name}'{hint} (known: {', '.join(layout_names())})")
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    if classes is None:
        entries = _READERS[name](folder)
    elif name in _CLASS_READERS:
        entries = _CLASS_READERS[name](folder, classes)
    else:
        entries = [entry for entry in _READERS[name](folder) if entry.class_name in set(classes)]
    return sorted(entries, key=lambda entry: entry.path)


@layout("image_folder")
def _image_folder(root: Path) -> list[Entry]:
    """ImageNet's layout: `<split>/<class>/*`."""
    return _class_folders(root, [(split.name, entry) for split in _folders(root) for entry in _folders(split)])


def _some_class_folders(root: Path, classes: Sequence[str]) -> list[Entry]:
    # The whole of ImageNet has 21,841 folders: a benchmark of 20 must neither walk through the others nor mind if they
    # are empty.
    return _class_folders(root, [("all", root / name) for name in classes if (root / name).is_dir()])


@layout("class_folders", _some_class_folders)
def _one_split(root: Path) -> list[Entry]:
    """A folder of classes without splits, as one supercategory of Species: `<class>/*`."""
    return _class_folders(root, [("all", entry) for entry in _folders(root)])


@layout("tiny_imagenet")
def _tiny_imagenet(root: Path) -> list[Entry]:
    """Tiny-ImageNet's official layout: `train/<wnid>/images/*`; `val` and `test` are flat and left out."""
    if not (root / "train").is_dir():
        raise FileNotFoundError(f"no folder {root / 'train'}")
    return _class_folders(root, [("train", entry) for entry in _folders(root / "train")], "images")


@layout("class_prefix")
def _class_prefix(root: Path) -> list[Entry]:
    """One flat folder of `<wnid>_<name>.<suffix>`: the text before the first underscore is the class."""
    return [Entry(path.name, "all", path.name.split("_", 1)[0]) for path in _images(root)]


@layout("flat_splits")
def _flat_splits(root: Path) -> list[Entry]:
    """Folders of unlabelled images, one per split: `<split>/*`; folders of label maps, `<split>annot`, are left out."""
    return [
        Entry(f"{split.name}/{path.name}", split.name, "")
        for split in _folders(root)
        if not split.name.endswith("annot")
        for path in _images(split)
    ]


def _class_folders(root: Path, folders: list[tuple[str, Path]], inside: str = "") -> list[Entry]:
    entries, empty = [], []
    for split, folder in folders:
        images = list(_images(folder / inside))
        if not images:
            empty.append(folder.relative_to(root).as_posix())
        entries += [Entry(path.relative_to(root).as_posix(), split, folder.name) for path in images]
    if empty:
        raise EmptyClassError(f"{len(empty)} class folders of {root.name} hold no image: {_some(empty)}")
    return entries


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return iter(())
    visible = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return (path for path in visible if path.suffix.lower() in IMAGE_SUFFIXES)


def _some(names: list[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f", … and {len(names) - most} more" if len(names) > most else "")
