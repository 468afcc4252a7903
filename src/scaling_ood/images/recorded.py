"""Is a file still the one that the data was prepared with?

Data preparation records size, time and content of every file. Where one is read later, size and time are compared,
which costs one look at the folder; only where they differ, its content is. In an object store, where a look costs as
much as the file, its content is compared whenever it is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd

from scaling_ood.images.containers import container_of, read_bytes
from scaling_ood.images.files import fingerprint, place_of
from scaling_ood.storage import address_of, is_stored

LABEL = "label_"

NO_STAMP = (-1, -1)
"""Size and time of a file that nobody looked at: its content is compared whenever it is read."""


class ChangedFileError(RuntimeError):
    """A file is not what it was when the data was prepared."""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file as data preparation found it.

    Attributes:
        path: Of the file, or `<container>::<key>`.
        size: In bytes; of the container where it is in one.
        modified_ns: Time of its last change, nanoseconds since 1970; of the container where it is in one.
        content: The fingerprint of its bytes; of the image alone where it is in a container.
    """

    path: str
    size: int
    modified_ns: int
    content: str


def content_of(file: RecordedFile | str) -> bytes:
    """The bytes of a file, after making sure that they are the recorded ones; of a bare path nothing is known.

    Raises:
        ChangedFileError: It is another one; names the file and the command that prepares the data anew.
        OSError: The file is not there any more, or is none that is read.
        MissingLibraryError: The container needs a package that is not installed.
    """
    if isinstance(file, str):
        return read_bytes(file)
    # The look comes first: whatever changes from here on has another time.
    same = not is_stored(file.path) and stamp(file.path) == (file.size, file.modified_ns)
    content = read_bytes(file.path)
    if not same and fingerprint(content) != file.content:
        raise ChangedFileError(
            f"{file.path} has other content than when the data was prepared. Put the file back, or prepare the data "
            "anew: kedro run --pipelines data_preparation"
        )
    return content


def path_of(file: RecordedFile | str) -> str:
    """The path of a file, unseen."""
    return file if isinstance(file, str) else file.path


def recorded_files(rows: pd.DataFrame, folders: pd.Series | str, kind: str = "") -> list[RecordedFile]:
    """The files of a manifest.

    Args:
        rows: With `path`, `bytes`, `modified_ns` and `content`. A manifest of before these were recorded lacks two.
        folders: Of the data set, or of each row's.
        kind: Start of the columns' names: `LABEL` for label images.
    """
    stamps = [rows.get(f"{kind}{name}", pd.Series(-1, rows.index)) for name in ("bytes", "modified_ns")]
    paths = folders + "/" + rows[f"{kind}path"]
    columns = [paths, *stamps, rows[f"{kind}content"]]
    named, *rest = (column.tolist() for column in columns)
    return [RecordedFile(*values) for values in zip(map(address_of, named), *rest, strict=True)]


def stamp(path: str) -> tuple[int, int]:
    """Size and time of the last change of a file, or of the container that it is in; `NO_STAMP` in an object store.

    Raises:
        OSError: It is not there.
    """
    if is_stored(path):
        return NO_STAMP
    container = container_of(path)
    place = container or path
    # A database is a folder, whose own time does not change with what is written into its file.
    data = os.path.join(place, "data.mdb")
    found = os.stat(place_of(data if container and os.path.isdir(place) else place))
    return found.st_size, found.st_mtime_ns


def stamps(paths: Sequence[str], workers: int) -> list[tuple[int, int]]:
    """Size and time of many files; `NO_STAMP` for one that is not there."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        return list(pool.map(_stamp_or_none, paths))


def _stamp_or_none(path: str) -> tuple[int, int]:
    try:
        return stamp(path)
    except (OSError, ValueError):  # No file, or a name that none can have.
        return NO_STAMP
