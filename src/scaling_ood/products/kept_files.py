"""Files that a record vouches for: written whole, flushed to disk, and checked where they are read."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from scaling_ood import storage

RECORD = "record.json"
"""In a folder, the file that vouches for all others: written last."""

_logger = logging.getLogger(__name__)

_UNFINISHED = ".part"
"""Ends the names of what has no name of its own yet."""

_PIECE_BYTES = 2**20

_checked: dict[Path, tuple[object, str]] = {}
"""Place to what its files looked like when their content was last summed in this process, and the sum."""


class DamagedPartError(RuntimeError):
    """What is stored does not have the content that was written."""


def damaged(place: Path, how: str = "") -> DamagedPartError:
    """The error, which names the file and the command that makes it again."""
    remedy = "Remove it: what is missing" if storage.is_stored(place) else "What is damaged"
    return DamagedPartError(f"{place} is damaged{f' ({how})' if how else ''}. {remedy} is made again by: kedro run")


def read_record(path: Path) -> dict[str, Any]:
    """The content of a small JSON file; empty where there is none.

    A file that is empty or cut, as a power cut leaves it, is the same as none, and that is said.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        content = None
    if not isinstance(content, dict):
        _logger.warning("%s is empty or damaged; what it told of is made again", path)
        return {}
    return content


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old content or the new, never half of it."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """The same for any content."""
    if storage.is_stored(path):
        storage.write(path, content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with _written_beside(path) as beside:
        beside.write_bytes(content)


def keep(place: Path, write: Callable[[Path], object], *, shared: bool = False) -> dict[str, str]:
    """Write a file or folder so that a reader sees the old content or the new, never half of it.

    In an object store this holds for each file: a reader of a folder sees that its record is missing, or that a file is
    not the one that the record tells of.

    Args:
        place: Where it belongs.
        write: Given a place on this machine that is free, writes it there.
        shared: Whether another process may be writing the same now. What it has begun stays; otherwise what a killed
            process has left of this is removed.

    Returns:
        What a record says of it, for `is_intact`: `sha256`, and in a store also `looks`.
    """
    if storage.is_stored(place):
        with TemporaryDirectory() as folder:
            beside = Path(folder) / place.name
            write(beside)
            sha256 = _sum(beside)
            storage.upload(beside, place, last=RECORD)
        return {"sha256": sha256, "looks": storage.looks(place)}
    place.parent.mkdir(parents=True, exist_ok=True)
    if not shared:
        remove_unfinished(place.parent, place.name)
    with _written_beside(place) as beside:
        write(beside)
    return {"sha256": content_sum(place)}


def move(source: Path, place: Path, last: str) -> None:
    """Give a folder another place, in which none is; both are in the same store, or on the same disk.

    Args:
        source: The folder.
        place: Where it belongs.
        last: File without which a folder counts as none: in a store it comes last, and is removed first.
    """
    if storage.is_stored(place):
        storage.move(source, place, last)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, place)


def remove_unfinished(folder: Path, of: str | None = None) -> None:
    """Remove what killed processes have left in a folder. Nobody may write it meanwhile.

    Args:
        folder: Where to look.
        of: Name of a file or folder in it, if nothing else is meant.
    """
    if storage.is_stored(folder):  # nothing is there by half
        return
    for left in folder.glob(f".*{_UNFINISHED}"):
        if of is None or left.name.rsplit(".", 2)[0] == f".{of}":
            remove(left)


@contextmanager
def _written_beside(place: Path) -> Iterator[Path]:
    """A new file or folder, where no other process writes; what was written there gets its name at the end."""
    beside = place.with_name(f".{place.name}.{uuid4().hex[:8]}{_UNFINISHED}")
    try:
        yield beside
        _put_in_place(beside, place)
    except BaseException:
        remove(beside)
        raise


def _put_in_place(beside: Path, place: Path) -> None:
    """Give a finished file or folder its name, after its content has reached the disk.

    A record that is written afterwards never vouches for what a power cut can still take away.
    """
    for below, _ in _files(beside):
        _flush(beside.joinpath(*below))
    if place.is_dir():  # a file is replaced in one step; a folder is not
        shutil.rmtree(place)
    os.replace(beside, place)
    _flush(place.parent)


def remove(place: Path) -> None:
    """Remove a file or folder, if it is there."""
    if storage.is_stored(place):
        storage.remove(place)
    elif place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def content_sum(place: Path) -> str:
    """SHA-256 of a file's content; of a folder, over the names and contents of all its files."""
    found = _looks(place)
    known = _checked.get(place)
    if known is not None and known[0] == found:
        return known[1]
    with storage.local_copy(place) as copy:
        sha256 = _sum(copy)
    _checked[place] = found, sha256
    return sha256


def is_intact(place: Path, sha256: object, looks: object = None) -> bool:
    """Whether a file or folder is there with that content.

    The content is read once in a process, and again where size or time say that it has changed since. In an object
    store it is not even read once where it still `looks` as it did when it was written.
    """
    if storage.is_stored(place):
        found = storage.looks(place)
        return bool(found) and (found == looks or content_sum(place) == sha256)
    return place.exists() and content_sum(place) == sha256


def is_there(place: Path, sha256: object) -> bool:
    """As `is_intact`, for a file that `opened_intact` opens later: in an object store, its content is compared then."""
    return place.exists() if storage.is_stored(place) else is_intact(place, sha256)


def opened_intact(place: Path, sha256: object) -> Path | io.BytesIO:
    """A file with that content, to be read: itself, or its content where it is in an object store, fetched once.

    Raises:
        DamagedPartError: It is not there, or has another content.
    """
    if not storage.is_stored(place):
        if not is_intact(place, sha256):
            raise damaged(place)
        return place
    try:
        content = place.read_bytes()
    except FileNotFoundError as error:
        raise damaged(place) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise damaged(place)
    return io.BytesIO(content)


def _looks(place: Path) -> object:
    if storage.is_stored(place):
        return storage.looks(place)
    return tuple((below, stat.st_size, stat.st_mtime_ns) for below, stat in _files(place))


def _sum(place: Path) -> str:
    if place.is_file():
        return _file_sum(place)
    named = [("/".join(below), _file_sum(os.path.join(place, *below))) for below, _ in _files(place)]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def _file_sum(path: str | Path) -> str:
    """SHA-256, read piece by piece: `hashlib.file_digest` has a large buffer even for a small file."""
    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()


def _files(place: Path) -> list[tuple[tuple[str, ...], os.stat_result]]:
    """The steps down to each file, none to a file itself, and what the system says of it; in the order of the steps."""
    return [((), place.stat())] if place.is_file() else sorted(_below(place))


def _below(folder: str | Path, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            steps = (*above, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, steps)
            elif entry.is_file():
                yield steps, entry.stat()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
