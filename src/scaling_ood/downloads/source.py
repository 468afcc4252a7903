"""What is known of one public data set: where it is, on what terms, and what it holds once unpacked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from scaling_ood.downloads.packing import Archive


class DownloadError(Exception):
    """A set could not be fetched or is not what was expected; the text tells the user which one and what to do."""


@dataclass(frozen=True)
class Expected:
    """A number that a complete set has.

    Attributes:
        glob: Files or folders below the set's folder; `file.json#key` counts the entries of that list instead.
        count: How many there must be.
        what: What is counted, in the plural.
    """

    glob: str
    count: int
    what: str


@dataclass(frozen=True)
class Source:
    """One public data set.

    Attributes:
        name: The set's folder below the destination; `<set>/<part>` where a set comes in several archives.
        url: The archive (zip or tar), pinned to a commit or a release where its host has such.
        checksum: `<algorithm>:<hex>` of the archive; None where no trustworthy one is known.
        terms: Licence or terms of use, shown before the set is fetched.
        arrange: Lays the archive's files out in an empty folder.
        expected: What the laid-out folder holds.
        names: `verification.names_digest` of the laid-out files; None leaves the names unchecked.
    """

    name: str
    url: str
    checksum: str | None
    terms: str
    arrange: Callable[[Archive, Path], None]
    expected: tuple[Expected, ...]
    names: str | None = None

    @property
    def suffix(self) -> str:
        """Ending of the archive's name, such as `.zip` or `.tar.gz`."""
        suffixes = PurePosixPath(urlsplit(self.url).path).suffixes
        return "".join(suffixes[-2:]) if suffixes[-2:-1] == [".tar"] else "".join(suffixes[-1:])

    def layout(self) -> str:
        """The expected layout, one line per kind of file."""
        width = max(len(line.glob) for line in self.expected)
        return "\n".join(f"{self.name}/{line.glob:<{width}}  {line.count:,} {line.what}" for line in self.expected)
