"""Image files as the values of an LMDB database (LSUN)."""

from __future__ import annotations

import os
from threading import Lock
from typing import Any

from scaling_ood.optional import library

_ENVIRONMENTS: dict[str, Any] = {}
_OPENING = Lock()


def _begin_anew() -> None:
    """What a forked process took over must not be used, and keeps it from opening its own."""
    global _OPENING  # noqa: PLW0603
    _OPENING = Lock()
    for environment in _ENVIRONMENTS.values():
        environment.close()
    _ENVIRONMENTS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def list_keys(database: str) -> list[str]:
    """The keys of a database, in its order.

    Raises:
        MissingLibraryError: The package lmdb is not installed.
        OSError: It is no database that can be read.
        UnicodeDecodeError: A key is no ASCII text.
    """
    with _reading(database) as transaction:
        return [key.decode("ascii") for key in transaction.cursor().iternext(keys=True, values=False)]


def read_image_bytes(database: str, key: str) -> bytes:
    """The image file that stands under a key.

    Raises:
        MissingLibraryError: The package lmdb is not installed.
        OSError: It is no database that can be read, or it has no such key.
    """
    with _reading(database) as transaction:
        value: bytes | None = transaction.get(key.encode("ascii"))
    if value is None:
        raise OSError(f"no image {key} in {database}")
    return value


def _reading(database: str) -> Any:
    """A read-only transaction; a database may be open once in a process, so all threads share it."""
    lmdb = library("lmdb", f"the database {database}")
    place = os.path.realpath(database)
    with _OPENING:
        if place not in _ENVIRONMENTS:
            try:
                _ENVIRONMENTS[place] = lmdb.open(
                    place, readonly=True, create=False, lock=False, readahead=False, meminit=False, max_readers=1
                )
            except lmdb.Error as error:
                raise OSError(f"{database} is no LMDB database that can be read: {error}") from error
    return _ENVIRONMENTS[place].begin()
