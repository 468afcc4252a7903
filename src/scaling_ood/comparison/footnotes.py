"""Footnotes to published numbers: where the paper contradicts itself or its code, or stays silent."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

SCOPE = ("in_dist", "model", "row", "detector", "metric")
"""What a footnote can be about; all that it names must agree."""


@dataclass(frozen=True)
class Footnote:
    """A remark and the numbers that it is about.

    Attributes:
        text: One or two sentences.
        tables: Tables in which it stands.
        scope: Part of `SCOPE` to the values that it is about; without any it is about the whole table.
    """

    text: str
    tables: tuple[str, ...]
    scope: Mapping[str, tuple[str, ...]]

    def is_about(self, number: Mapping[str, str]) -> bool:
        """Whether a number, or a heading known by some of `SCOPE`, is among those that it is about.

        >>> swapped = next(note for note in footnotes() if "swapped" in note.text)
        >>> swapped.is_about({"in_dist": "FS Lost and Found", "detector": "max_logit", "metric": "aupr"})
        True
        >>> swapped.is_about({"in_dist": "FS Lost and Found"})
        False
        """
        return all(number.get(part) in values for part, values in self.scope.items())


@cache
def footnotes() -> tuple[Footnote, ...]:
    """All footnotes, in the order in which they are numbered within a table."""
    content = resources.files(__package__).joinpath("footnotes.csv").read_text(encoding="utf-8")
    return tuple(
        Footnote(
            text=row["text"],
            tables=tuple(row["table"].split(";")),
            scope={part: tuple(row[part].split(";")) for part in SCOPE if row[part]},
        )
        for row in csv.DictReader(content.splitlines())
    )
