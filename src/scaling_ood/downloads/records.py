"""`downloads.lock.json`: the checksums of what was fetched, so that the next fetch can be held against the first."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

RECORDS_NAME = "downloads.lock.json"


@dataclass(frozen=True)
class Record:
    """What one set was at its first download.

    Attributes:
        url: Where the archive came from; a record of another URL says nothing about this one's archive.
        archive: `sha256:<hex>` of the archive.
        content: `content_digest` of the laid-out folder.
    """

    url: str
    archive: str
    content: str


def read_records(destination: Path) -> dict[str, Record]:
    """The records of the sets in a folder, by name; none where nothing was fetched into it.

    Raises:
        ValueError: The file is there but cannot be understood.
    """
    path = destination / RECORDS_NAME
    if not path.exists():
        return {}
    try:
        return {name: Record(**record) for name, record in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no lock file of this command ({error}). Delete it to trust what is beside it."
        ) from error


def keep_record(destination: Path, name: str, record: Record) -> None:
    """Add a record, or replace it; the file is rewritten whole and atomically."""
    records = read_records(destination) | {name: record}
    beside = destination / f"{RECORDS_NAME}.tmp"
    document = {key: asdict(records[key]) for key in sorted(records)}
    beside.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, destination / RECORDS_NAME)


def content_digest(folder: Path) -> str:
    """SHA-256 over the names and the bytes of all files of a folder; hidden files are left out."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{digest}\n".encode())
    return total.hexdigest()
