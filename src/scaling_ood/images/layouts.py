"""Readers of the official on-disk layouts: which images does a data set hold, and of what class are they?

A reader is one function `(root) -> list[Entry]`, registered under the layout's name with `@layout`, or
`(root, wanted) -> list[Entry]` with `@split_layout` where a split is too large to be listed for nothing. It looks at
names, folders and lists only and opens no image. The general layouts are here; those of single data sets have modules
of their own (`imagenet`, `places`, …), which the package imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from scaling_ood.images.files import printable
from scaling_ood.images.wording import listed

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True)
class Entry:
    """One image of a data set.

    Attributes:
        path: Relative to the data set's folder, with forward slashes; `<container>::<key>` inside a container.
        split: The data set's own split (`train`, `val`, …); `all` where it has none.
        class_name: Folder or synset name; empty where the layout has no classes.
    """

    path: str
    split: str
    class_name: str


class EmptyClassError(ValueError):
    """Class folders without a single image."""


class LayoutError(ValueError):
    """What is on disk contradicts itself: a list and its images, say."""


Wanted = Callable[[str], bool]
"""Whether a split is asked for."""

Reader = Callable[[Path], list[Entry]]
SplitReader = Callable[[Path, Wanted], list[Entry]]
ClassReader = Callable[[Path, Sequence[str]], list[Entry]]
_READERS: dict[str, SplitReader] = {}
_CLASS_READERS: dict[str, ClassReader] = {}


def layout(name: str, some_classes: ClassReader | None = None) -> Callable[[Reader], Reader]:
    """Register a reader under the name by which YAML asks for it.

    Args:
        name: The layout's name.
        some_classes: Lists some classes without looking at the others; by default everything is listed, then selected.
    """

    def register(reader: Reader) -> Reader:
        _READERS[name] = lambda root, _wanted: reader(root)
        if some_classes is not None:
            _CLASS_READERS[name] = some_classes
        return reader

    return register


def split_layout(name: str) -> Callable[[SplitReader], SplitReader]:
    """Register a reader that leaves out the splits that nobody asked for, unseen."""

    def register(reader: SplitReader) -> SplitReader:
        _READERS[name] = reader
        return reader

    return register


def layout_names() -> list[str]:
    """Every layout that can be read, in alphabetical order."""
    return sorted(_READERS)


def list_images(
    name: str, folder: Path, splits: Sequence[str] | None = None, classes: Sequence[str] | None = None
) -> list[Entry]:
    """The images of a data set, sorted by path.

    Args:
        name: A registered layout.
        folder: The data set's own folder.
        splits: Which of its own splits to list; None lists all. One that is not there adds nothing.
        classes: Which classes to list; None lists all. One that is not there is left out.

    Raises:
        ValueError: Unknown layout.
        FileNotFoundError: The folder, or a folder or list that the layout needs, is missing.
        EmptyClassError: A class folder holds no image; all such folders are named.
        LayoutError: Lists and images contradict each other.
        MissingLibraryError: The layout needs a package that is not installed.
    """
    if name not in _READERS:
        near = get_close_matches(name, _READERS, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"unknown layout '{name}'{hint} (known: {', '.join(layout_names())})")
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")

    def wanted(split: str) -> bool:
        return splits is None or split in splits

    if classes is not None and name in _CLASS_READERS:
        entries = _CLASS_READERS[name](folder, classes)
    else:
        entries = _READERS[name](folder, wanted)
    chosen = None if classes is None else set(classes)
    kept = (one for one in entries if wanted(one.split) and (chosen is None or one.class_name in chosen))
    named = (Entry(printable(one.path), printable(one.split), printable(one.class_name)) for one in kept)
    return sorted(named, key=lambda entry: entry.path)


@layout("image_folder")
def _image_folder(root: Path) -> list[Entry]:
    """ImageNet's layout: `<split>/<class>/*`."""
    return class_folders(root, [(split.name, entry) for split in subfolders(root) for entry in subfolders(split)])


def _some_class_folders(root: Path, classes: Sequence[str]) -> list[Entry]:
    # The whole of ImageNet has 21,841 folders: a benchmark of 20 must neither walk through the others nor mind if they
    # are empty.
    return class_folders(root, [("all", root / name) for name in classes if (root / name).is_dir()])


@layout("class_folders", _some_class_folders)
def _one_split(root: Path) -> list[Entry]:
    """A folder of classes without splits, as one supercategory of Species: `<class>/*`."""
    return class_folders(root, [("all", entry) for entry in subfolders(root)])


@layout("tiny_imagenet")
def _tiny_imagenet(root: Path) -> list[Entry]:
    """Tiny-ImageNet's official layout: `train/<wnid>/images/*`; `val` and `test` are flat and left out."""
    if not (root / "train").is_dir():
        raise FileNotFoundError(f"no folder {root / 'train'}")
    return class_folders(root, [("train", entry) for entry in subfolders(root / "train")], "images")


@layout("class_prefix")
def _class_prefix(root: Path) -> list[Entry]:
    """One flat folder of `<wnid>_<name>.<suffix>`: the text before the first underscore is the class."""
    return [Entry(path.name, "all", path.name.split("_", 1)[0]) for path in images_in(root)]


@layout("flat_splits")
def _flat_splits(root: Path) -> list[Entry]:
    """Folders of unlabelled images, one per split: `<split>/*`; folders of label maps, `<split>annot`, are left out."""
    return [
        Entry(f"{split.name}/{path.name}", split.name, "")
        for split in subfolders(root)
        if not split.name.endswith("annot")
        for path in images_in(split)
    ]


def class_folders(
    root: Path,
    folders: Iterable[tuple[str, Path]],
    inside: str = "",
    class_name: Callable[[Path], str] = lambda folder: folder.name,
) -> list[Entry]:
    """The images of class folders.

    Args:
        root: The data set's folder.
        folders: Split and folder of each class.
        inside: Folder below each class folder that holds the images.
        class_name: A class's name from its folder.

    Raises:
        EmptyClassError: Folders without an image; all are named.
    """
    entries, empty = [], []
    for split, folder in folders:
        images = list(images_in(folder / inside))
        if not images:
            empty.append(folder.relative_to(root).as_posix())
        entries += [Entry(path.relative_to(root).as_posix(), split, class_name(folder)) for path in images]
    if empty:
        raise EmptyClassError(f"{len(empty)} class folders of {root.name} hold no image: {listed(empty)}")
    return entries


def subfolders(root: Path) -> list[Path]:
    """The visible folders of a folder, sorted."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def images_in(folder: Path) -> Iterator[Path]:
    """The visible image files of a folder, sorted; none where the folder is missing."""
    if not folder.is_dir():
        return iter(())
    visible = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return (path for path in visible if path.suffix.lower() in IMAGE_SUFFIXES)


def first_there(root: Path, places: Sequence[str]) -> Path | None:
    """The first of several places below a folder that exists."""
    return next((root / place for place in places if (root / place).exists()), None)
