"""`downloads.lock.json`: the checksums of what was fetched, so that the next fetch can be held against the first."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from scaling_ood.downloads.source import DownloadError

LOCK_NAME = "downloads.lock.json"


@dataclass(frozen=True)
class Record:
    """What one set was at its first download.

    Attributes:
        url: Where the archive came from; a record of another URL says nothing about this one's archive.
        archive: `sha256:<hex>` of the archive.
        content: `verification.content_digest` of the laid-out folder.
    """

    url: str
    archive: str
    content: str


class Lock:
    """The records of one destination folder, read once and rewritten whole and atomically."""

    def __init__(self, destination: Path) -> None:
        """Read the lock file if there is one.

        Raises:
            DownloadError: The file is there but cannot be understood.
        """
        self.path = destination / LOCK_NAME
        self._records: dict[str, Record] = {}
        if self.path.exists():
            try:
                document = json.loads(self.path.read_text(encoding="utf-8"))
                self._records = {name: Record(**record) for name, record in document.items()}
            except (ValueError, TypeError, AttributeError) as error:
                raise DownloadError(
                    f"{self.path} is no lock file of this command ({error}). Delete it to trust what is beside it."
                ) from error

    def get(self, name: str) -> Record | None:
        """The record of a set, None if it was not fetched by this command."""
        return self._records.get(name)

    def put(self, name: str, record: Record) -> None:
        """Keep a record and write the file."""
        self._records[name] = record
        document = {key: asdict(self._records[key]) for key in sorted(self._records)}
        beside = self.path.with_suffix(".tmp")
        beside.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        os.replace(beside, self.path)
