"""Is a laid-out set complete, and is it still what was unpacked?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from scaling_ood.downloads.source import Expected, Source


def problems_of(folder: Path, source: Source) -> list[str]:
    """Everything in which a set's folder differs from what its source expects; empty for a complete set."""
    problems = []
    for expected in source.expected:
        found = count(folder, expected)
        if found != expected.count:
            problems.append(f"{found:,} {expected.what} ({expected.glob}), expected {expected.count:,}")
    if not problems and source.names is not None:
        digest = names_digest(folder, source.expected)
        if digest != source.names:
            problems.append(f"the counts agree but the files' names do not: digest {digest}, expected {source.names}")
    return problems


def count(folder: Path, expected: Expected) -> int:
    """How many of what is expected are there; 0 where a JSON file is missing or lacks the list."""
    glob, _, key = expected.glob.partition("#")
    if not key:
        return len(_matches(folder, glob))
    try:
        return len(json.loads((folder / glob).read_text(encoding="utf-8"))[key])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def names_digest(folder: Path, expected: Iterable[Expected]) -> str:
    """SHA-256 of the sorted paths of what is expected, without suffixes: `x.jpg` and `x.png` show the same."""
    paths = {path for line in expected for path in _matches(folder, line.glob.partition("#")[0])}
    names = sorted({path.relative_to(folder).with_suffix("").as_posix() for path in paths})
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def content_digest(folder: Path) -> str:
    """SHA-256 over the names and the bytes of all files of a folder; hidden files are left out."""
    total = hashlib.sha256()
    for path in sorted(path for path in _matches(folder, "**/*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{digest}\n".encode())
    return total.hexdigest()


def _matches(folder: Path, glob: str) -> list[Path]:
    # File managers leave hidden files behind, which are no part of a set.
    return [path for path in folder.glob(glob) if not path.name.startswith(".")]
