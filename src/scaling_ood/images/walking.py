"""What is in a folder: its files at any depth, and the reason for each one that is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scaling_ood.images.formats import image_suffixes
from scaling_ood.storage import is_stored, names_in

HIDDEN = "hidden, or of the system"
DANGLING = "link to nothing"
LOOP = "link to a folder that is read already"

_OF_THE_SYSTEM = frozenset(
    {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
)


class Found(NamedTuple):
    """One file, or a folder that is not entered.

    Attributes:
        path: Where it is; it starts with the folder that was asked for.
        left_out: Why it is not read; empty for a file with one of the wanted endings.
    """

    path: Path
    left_out: str


def is_hidden(name: str) -> bool:
    """Whether a name is hidden, or one that systems leave beside a person's files.

    >>> is_hidden(".DS_Store"), is_hidden("__MACOSX"), is_hidden("raccoon")
    (True, True, False)
    """
    return name.startswith(".") or name.casefold() in _OF_THE_SYSTEM


def walk(folder: Path, endings: frozenset[str] | None = None, deep: bool = True) -> Iterator[Found]:
    """All that is in a folder, sorted by name; links are followed, and no folder is entered twice.

    An object store has no links.

    Args:
        folder: Where to look; one that is not there holds nothing.
        endings: Of the files that are wanted, in lower case; by default those of all images that are read.
        deep: Whether sub-folders are entered; otherwise visible ones are passed over.
    """
    if not folder.is_dir():
        return
    wanted = image_suffixes() if endings is None else endings
    if is_stored(folder):
        yield from _walk_store(folder, wanted, deep)
        return
    above = {_identity(place) for place in folder.parents}
    if _identity(folder) in above:
        yield Found(folder, LOOP)
    else:
        yield from _walk(folder, wanted, deep, {*above, _identity(folder)})


def _walk(folder: Path, endings: frozenset[str], deep: bool, entered: set[tuple[int, int]]) -> Iterator[Found]:
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        yield Found(folder, f"folder that cannot be read: {error.strerror}")
        return
    for entry in inside:
        path = folder / entry.name
        if is_hidden(entry.name):
            yield Found(path, HIDDEN)
        elif os.path.isdir(path) if entry.is_symlink() else entry.is_dir():
            if not deep:
                continue
            identity = _identity(path)
            if identity in entered:
                yield Found(path, LOOP)
                continue
            entered.add(identity)
            yield from _walk(path, endings, deep, entered)
        elif entry.is_symlink() and not os.path.exists(path):
            yield Found(path, DANGLING)
        else:  # A FIFO or a device may be called like an image: it is told what it is where it would be read.
            yield Found(path, "" if path.suffix.lower() in endings else ending_of(path))


def _walk_store(folder: Path, endings: frozenset[str], deep: bool) -> Iterator[Found]:
    for name, is_folder in names_in(folder):
        path = folder / name
        if is_hidden(name):
            yield Found(path, HIDDEN)
        elif not is_folder:
            yield Found(path, "" if path.suffix.lower() in endings else ending_of(path))
        elif deep:
            yield from _walk_store(path, endings, deep)


def ending_of(path: Path) -> str:
    """The reason for a file whose ending is not wanted.

    >>> ending_of(Path("a/README.TXT")), ending_of(Path("a/LICENSE"))
    ('ending .txt', 'no ending')
    """
    return f"ending {path.suffix.lower()}" if path.suffix else "no ending"


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino
