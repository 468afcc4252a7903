"""Files that other people made: only regular ones are read, never more of them than a limit, under any name."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from scaling_ood import storage

MOST_BYTES = 2**28
"""Largest image file that is read, in bytes: 256 MiB."""

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


class RefusedFileError(OSError):
    """A file that is not read, because of what it is: no regular file, empty, or too large."""


def printable(name: str) -> str:
    r"""A file's name as text that can be stored and shown; bytes of it that are no UTF-8 are written out.

    `read_file` finds the file by it.

    >>> import os
    >>> print(printable(os.fsdecode(b"caf\xe9.jpg")))
    caf\xe9.jpg
    """
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        # No name of this file system as Python reads it: text from a list, say, in a plain ASCII locale.
        return name.encode("utf-8", "backslashreplace").decode()


def read_file(path: str | Path) -> bytes:
    """The content of a regular file, or of one in an object store.

    Nothing is waited for: a FIFO, a device or a link to one is refused before anything is read of it.

    Args:
        path: As it is, or as `printable` writes it.

    Raises:
        RefusedFileError: No regular file, empty, or larger than `MOST_BYTES`.
        OSError: It is not there, or must not be read.
    """
    if storage.is_stored(path):
        content = storage.read(str(path), MOST_BYTES + 1)
        if not content:
            raise RefusedFileError("is empty")
        return _short(content)
    place = place_of(str(path))
    try:
        _refuse(os.stat(place))  # Before it is opened: opening alone may do something to a device.
        with open(os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            _refuse(os.fstat(file.fileno()))
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        if error.filename:
            error.filename = str(path)  # Not the bytes.
        raise
    return _short(content)


def fingerprint(content: bytes) -> str:
    """What tells the content of a file from others: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def is_there(path: str) -> bool:
    """Whether there is anything by that very name, in any locale."""
    return os.path.lexists(path.encode("utf-8", "surrogateescape"))


def place_of(path: str) -> bytes:
    """The name in bytes: UTF-8 whatever the locale; escapes of `printable` count where there is no file so called."""
    name = path.encode("utf-8", "surrogateescape")
    if b"\\x" in name and not is_there(path):
        return _ESCAPED.sub(lambda byte: bytes.fromhex(byte[1].decode()), name)
    return name


def _short(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise RefusedFileError(f"has more than the {MOST_BYTES:,} bytes that are read of an image")
    return content


def _refuse(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise RefusedFileError(f"is {_KINDS.get(stat.S_IFMT(found.st_mode), 'something else')}, no regular file")
    if not found.st_size:
        raise RefusedFileError("is empty")
    if found.st_size > MOST_BYTES:
        raise RefusedFileError(f"has {found.st_size:,} bytes, more than the {MOST_BYTES:,} that are read of an image")
