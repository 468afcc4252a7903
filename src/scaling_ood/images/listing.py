"""Data sets of whole images: which images does one hold, and of what class are they?

A reader is one function `(root, wanted) -> list[Entry]`, registered under its layout's name with `@LAYOUTS.reader`. It
looks at names, folders and lists only and opens no image. Files that it meets and leaves out are entries too, with the
reason. The general readers are in `folders`; those of single data sets have modules of their own (`imagenet`, `places`,
…), which the package imports.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling_ood.images.files import printable
from scaling_ood.images.layouts import Layouts
from scaling_ood.storage import listed_at_once

UNLISTED = "image that no list names"


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


@dataclass(frozen=True)
class Wanted:
    """What is asked for of a data set; a reader may list more, and need not look at the rest.

    Attributes:
        splits: Its own splits; None asks for all.
        classes: Its classes; None asks for all.
    """

    splits: Collection[str] | None = None
    classes: Collection[str] | None = None

    def split(self, name: str) -> bool:
        """Whether a split is asked for."""
        return self.splits is None or name in self.splits

    def of_class(self, name: str) -> bool:
        """Whether a class is asked for."""
        return self.classes is None or name in self.classes

    def __contains__(self, entry: Entry) -> bool:
        """Whether an entry is; what is left out above the splits, or above the classes, belongs to none of them."""
        of_all = entry.left_out != ""
        in_split = self.split(entry.split) or (of_all and entry.split == "")
        return in_split and (self.of_class(entry.class_name) or (of_all and entry.class_name == ""))


Reader = Callable[[Path, Wanted], list[Entry]]


def _itself(reader: Reader) -> Reader:
    return reader


LAYOUTS = Layouts(_itself)


def list_files(
    layout: str, folder: Path, splits: Sequence[str] | None = None, classes: Sequence[str] | None = None
) -> list[Entry]:
    """The images of a data set, and the files that are left out of what was asked for, sorted by path.

    Args:
        layout: One of `LAYOUTS`.
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
    read = LAYOUTS[layout]
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    folder = listed_at_once(folder)
    wanted = Wanted(splits, None if classes is None else frozenset(classes))
    entries = (entry for entry in read(folder, wanted) if entry in wanted)
    return sorted(map(_printable, entries), key=lambda entry: entry.path)


def _printable(entry: Entry) -> Entry:
    return Entry(printable(entry.path), printable(entry.split), printable(entry.class_name), printable(entry.left_out))
