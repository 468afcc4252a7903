"""Readers of the official on-disk layouts: which images does a data set hold, and of what class are they?

A reader is one function `(root) -> list[Entry]`, registered under the layout's name with `@layout`, or
`(root, wanted) -> list[Entry]` with `@split_layout` where a split is too large to be listed for nothing. It looks at
names, folders and lists only and opens no image. Files that it meets and leaves out are entries too, with the reason.
The general layouts are here; those of single data sets have modules of their own (`imagenet`, `places`, …), which the
package imports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from scaling_ood.images.files import printable
from scaling_ood.images.walking import LOOP, is_hidden, walk
from scaling_ood.images.wording import listed

UNLISTED = "image that no list names"
BESIDE = "image beside the folders that hold the others"
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
_MOST_REASONS = 8
_LOOKED_AT = 10_000
"""Files that are enough to tell how deep the images of a folder lie."""


@dataclass(frozen=True)
class Entry:
    """One image of a data set.

    Attributes:
        path: Relative to the data set's folder, with forward slashes; `<container>::<key>` inside a container.
        split: The data set's own split (`train`, `val`, …); `all` where it has none.
        class_name: Folder or synset name; empty where the layout has no classes.
        left_out: Why the file is not read; empty for an image.
    """

    path: str
    split: str
    class_name: str
    left_out: str = ""


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
    """The images of a data set, sorted by path: `list_files` without those that are left out."""
    return [entry for entry in list_files(name, folder, splits, classes) if not entry.left_out]


def list_files(
    name: str, folder: Path, splits: Sequence[str] | None = None, classes: Sequence[str] | None = None
) -> list[Entry]:
    """The images of a data set, and the files that are left out of what was asked for, sorted by path.

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

    def asked_for(entry: Entry) -> bool:
        # What is left out above the splits, or above the classes, belongs to none of them.
        of_all = entry.left_out != ""
        in_split = wanted(entry.split) or (of_all and entry.split == "")
        return in_split and (chosen is None or entry.class_name in chosen or (of_all and entry.class_name == ""))

    return sorted(map(_printable, filter(asked_for, entries)), key=lambda entry: entry.path)


def _printable(entry: Entry) -> Entry:
    return Entry(printable(entry.path), printable(entry.split), printable(entry.class_name), printable(entry.left_out))


def fitting_layout(folder: Path) -> str:
    """The end of a message about a folder without the images that a layout asks for: which layout finds some there."""
    images = (one.path for one in islice(walk(folder), _LOOKED_AT) if not one.left_out)
    depth = min((len(path.relative_to(folder).parts) for path in images), default=0)
    return (
        "",
        "; images lie in the folder itself: the layout 'flat' reads them",
        "; images lie in its sub-folders: 'class_folders' reads <class>/*, 'flat_splits' <split>/* without classes",
        "; images lie two folders down: 'image_folder' reads <split>/<class>/*",
    )[min(depth, 3)]


@split_layout("image_folder")
def _image_folder(root: Path, wanted: Wanted) -> list[Entry]:
    """ImageNet's layout: `<split>/<class>/*`, at any depth below the class."""
    splits = [split for split in subfolders(root) if wanted(split.name)]
    found = class_folders(root, [(split.name, entry) for split in splits for entry in subfolders(split)])
    bare = [one for split in splits if not subfolders(split) for one in beside(root, split, split.name)]
    return found + bare + beside(root, root)


def _some_class_folders(root: Path, classes: Sequence[str]) -> list[Entry]:
    # The whole of ImageNet has 21,841 folders: a benchmark of 20 must neither walk through the others nor mind if they
    # are empty.
    return class_folders(root, [("all", root / name) for name in classes if (root / name).is_dir()])


@layout("class_folders", _some_class_folders)
def _one_split(root: Path) -> list[Entry]:
    """A folder of classes without splits, as one supercategory of Species: `<class>/*`, at any depth."""
    folders = subfolders(root)
    entries = class_folders(root, [("all", entry) for entry in folders])
    # A class may be called `train`, but its images then lie in it and not in classes below it.
    nested = not any(entry.path.count("/") == 1 for entry in entries if not entry.left_out)
    if folders and nested and all(folder.name.lower() in _SPLITS for folder in folders):
        raise LayoutError(f"the folders of {root} are splits with classes, and not classes{fitting_layout(root)}")
    return entries + ([] if folders else beside(root, root))


@layout("flat")
def _flat(root: Path) -> list[Entry]:
    """A folder of images without classes or splits, at any depth."""
    return entries_in(root, root, "all")


@layout("tiny_imagenet")
def _tiny_imagenet(root: Path) -> list[Entry]:
    """Tiny-ImageNet's official layout: `train/<wnid>/images/*`; `val` and `test` are flat and not looked at."""
    if not (root / "train").is_dir():
        raise FileNotFoundError(f"no folder {root / 'train'}")
    return class_folders(root, [("train", entry) for entry in subfolders(root / "train")], "images")


@layout("class_prefix")
def _class_prefix(root: Path) -> list[Entry]:
    """A folder of `<wnid>_<name>.<suffix>`, at any depth: the text before the first underscore is the class."""
    return [replace(one, class_name=_prefix(one)) for one in entries_in(root, root, "all")]


def _prefix(entry: Entry) -> str:
    return "" if entry.left_out else Path(entry.path).name.split("_", 1)[0]


@layout("flat_splits")
def _flat_splits(root: Path) -> list[Entry]:
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


def told(reasons: Iterable[str]) -> str:
    """How many files each reason left out, the most frequent first.

    >>> told(["ending .txt", "link to nothing", "ending .txt"])
    'ending .txt: 2; link to nothing: 1'
    """
    return counted(dict(Counter(reasons).most_common()))


def counted(by_reason: Mapping[str, int]) -> str:
    """The same of reasons that are counted already, the most frequent first; there may be as many as files."""
    shown = list(by_reason.items())[:_MOST_REASONS]
    more = len(by_reason) - len(shown)
    rest = sum(by_reason.values()) - sum(count for _, count in shown)
    ending = [f"{more:,} other reasons: {rest:,}"] if more else []
    return "; ".join([*(f"{reason}: {count:,}" for reason, count in shown), *ending])


def _held(found: Sequence[Entry]) -> str:
    return f" ({told(one.left_out for one in found)})" if found else ""
