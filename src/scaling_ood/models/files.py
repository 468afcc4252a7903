"""Digests of files of networks: what keys depend on in place of their paths."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits: what the key of a network from a checkpoint file depends on.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(paths: Sequence[Path]) -> str:
    """20 hexadecimal digits over the contents of files, in their order; read once while they do not change.

    Raises:
        OSError: One cannot be read.
    """
    return hashlib.sha256("".join(_known(path, *_state(path)) for path in paths).encode()).hexdigest()[:20]


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=64)
def _known(path: Path, _changed: int, _size: int) -> str:
    return file_sha256(path)
