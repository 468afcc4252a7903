"""Files that a record vouches for: written whole, flushed to disk, and checked where they are read."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

_logger = logging.getLogger(__name__)

_UNFINISHED = ".part"
"""Ends the names of what has no name of its own yet."""

_checked: dict[Path, tuple[object, str]] = {}
"""Place to what its files looked like when their content was last summed in this process, and the sum."""


class DamagedPartError(RuntimeError):
    """What is stored does not have the content that was written."""


def damaged(place: Path, how: str = "") -> DamagedPartError:
    """The error, which names the file and the command that makes it again."""
    return DamagedPartError(
        f"{place} is damaged{f' ({how})' if how else ''}. What is damaged is made again by: kedro run"
    )


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside:
        beside.write_bytes(content)


@contextmanager
def written_beside(place: Path) -> Iterator[Path]:
    """A new file or folder, where no other process writes; what was written there gets its name at the end."""
    beside = place.with_name(f".{place.name}.{uuid4().hex[:8]}{_UNFINISHED}")
    try:
        yield beside
        put_in_place(beside, place)
    except BaseException:
        remove(beside)
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes have left in a folder. Nobody may write there meanwhile."""
    for left in folder.glob(f".*{_UNFINISHED}"):
        remove(left)


def put_in_place(beside: Path, place: Path) -> None:
    """Give a finished file or folder its name, after its content has reached the disk.

    A record that is written afterwards never vouches for what a power cut can still take away.
    """
    for file in _files(beside):
        _flush(file)
    if place.is_dir():  # a file is replaced in one step; a folder is not
        shutil.rmtree(place)
    os.replace(beside, place)
    _flush(place.parent)


def remove(place: Path) -> None:
    """Remove a file or folder, if it is there."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def content_sum(place: Path) -> str:
    """SHA-256 of a file's content; of a folder, over the names and contents of all its files."""
    files = _files(place)
    looks = tuple((file, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files)
    known = _checked.get(place)
    if known is not None and known[0] == looks:
        return known[1]
    found = _file_sum(place) if place.is_file() else _folder_sum(place, files)
    _checked[place] = looks, found
    return found


def is_intact(place: Path, sha256: object) -> bool:
    """Whether a file or folder is there with that content.

    The content is read once in a process, and again where size or time say that it has changed since.
    """
    return place.exists() and content_sum(place) == sha256


def _file_sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_sum(folder: Path, files: list[Path]) -> str:
    named = ((file.relative_to(folder).as_posix(), _file_sum(file)) for file in files)
    return hashlib.sha256(json.dumps(list(named)).encode()).hexdigest()


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
