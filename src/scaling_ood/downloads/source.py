"""What is known of one public data set: where it is, on what terms, and what it holds once laid out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


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

    def found(self, folder: Path) -> int:
        """How many are there; 0 where a JSON file is missing or lacks the list."""
        glob, _, key = self.glob.partition("#")
        if not key:
            return len(self.matches(folder))
        try:
            return len(json.loads((folder / glob).read_text(encoding="utf-8"))[key])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def matches(self, folder: Path) -> list[Path]:
        """What is there, without the hidden files that file managers leave behind."""
        return [path for path in folder.glob(self.glob.partition("#")[0]) if not path.name.startswith(".")]


@dataclass(frozen=True)
class Source:
    """One public data set.

    Attributes:
        name: The set's folder below the destination; `<set>/<part>` where a set comes in several archives.
        url: The archive (zip or tar), pinned to a commit or a release where its host has such.
        checksum: `<algorithm>:<hex>` of the archive; None where no trustworthy one is known. A tar needs one: unlike
            a zip, it has no checksums of its files.
        terms: Licence or terms of use, shown before the set is fetched.
        keep: Which files are laid out, and where: a pattern for the whole name in the archive, without the topmost
            folder (which may carry a commit), and the place below the set's folder, with the pattern's groups.
        expected: What the laid-out folder holds.
        names: `names_digest` of the laid-out files; None leaves the names unchecked.
        finish: Changes the laid-out files to the form that the readers know. Raises ValueError where it cannot.
    """

    name: str
    url: str
    checksum: str | None
    terms: str
    keep: Mapping[str, str]
    expected: tuple[Expected, ...]
    names: str | None = None
    finish: Callable[[Path], None] | None = None

    @property
    def archive(self) -> str:
        """The archive's name: that of the set, with the ending of the URL, such as `.zip` or `.tar.gz`."""
        ending = re.search(r"(\.tar)?\.\w+$", self.url)
        return self.name + (ending[0] if ending else "")

    def place(self, member: str) -> str | None:
        r"""Where a file of the archive goes, below the set's folder; None for one that is left out.

        >>> Source("raccoon", "", None, "", {r"images/(raccoon-\d+)\.jpg": r"photos/\1.JPEG"}, ()).place(
        ...     "raccoon_dataset-e7c272a/images/raccoon-7.jpg"
        ... )
        'photos/raccoon-7.JPEG'
        """
        for pattern, place in self.keep.items():
            if match := re.fullmatch(rf"(?:\./)?(?:[^/]+/)?{pattern}", member):
                return match.expand(place)
        return None

    def layout(self) -> str:
        """The expected layout, one line per kind of file."""
        width = max(len(line.glob) for line in self.expected)
        return "\n".join(f"{self.name}/{line.glob:<{width}}  {line.count:,} {line.what}" for line in self.expected)

    def problems(self, folder: Path) -> list[str]:
        """Everything in which a folder differs from the complete set; empty for a complete set."""
        counts = [(line, line.found(folder)) for line in self.expected]
        problems = [
            f"{found:,} {line.what} ({line.glob}), expected {line.count:,}"
            for line, found in counts
            if found != line.count
        ]
        if not problems and self.names is not None and (digest := self.names_digest(folder)) != self.names:
            problems.append(f"the counts agree but the files' names do not: digest {digest}, expected {self.names}")
        return problems

    def names_digest(self, folder: Path) -> str:
        """SHA-256 of the sorted paths of what is expected, without suffixes: `x.jpg` and `x.png` show the same."""
        paths = {path for line in self.expected for path in line.matches(folder)}
        names = sorted({path.relative_to(folder).with_suffix("").as_posix() for path in paths})
        return hashlib.sha256("\n".join(names).encode()).hexdigest()
