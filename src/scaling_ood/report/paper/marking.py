"""Where footnotes are marked: on the table, on the outermost heading whose numbers all belong, or on single numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from string import ascii_lowercase
from typing import Any

from scaling_ood.report.paper.published import SCOPE, Footnote, footnotes

Record = Mapping[str, Any]


class Marks:
    """Letters of one table's footnotes, given in the order in which they are asked for."""

    def __init__(self, table: str) -> None:
        """Start without any.

        Args:
            table: One of `TABLES`.
        """
        self._notes = [note for note in footnotes() if table in note.tables]
        self._on_headings: list[tuple[Footnote, list[Record]]] = []
        self.texts: dict[str, str] = {}

    def of_table(self) -> tuple[str, ...]:
        """Marks of what is about the whole table."""
        return self._letters(note for note in self._notes if not note.scope)

    def of_heading(self, under: Sequence[Record], around: Sequence[Record]) -> tuple[str, ...]:
        """Marks of what is about all numbers under a heading, and not about all of the heading around it.

        Args:
            under: The numbers that it heads.
            around: Those that the next outer heading heads; the whole table for an outermost one.
        """
        inner, outer = _common(under), _common(around)
        found = [note for note in self._notes if note.scope and note.is_about(inner) and not note.is_about(outer)]
        self._on_headings += [(note, list(under)) for note in found]
        return self._letters(found)

    def of_number(self, record: Record) -> tuple[str, ...]:
        """Marks of what is about this number and stands on none of its headings; ask for all headings first."""
        return self._letters(
            note
            for note in self._notes
            if note.scope
            and note.is_about(record)
            and not any(marked is note and record in under for marked, under in self._on_headings)
        )

    def _letters(self, notes: Iterable[Footnote]) -> tuple[str, ...]:
        letters = []
        for note in notes:
            known = {text: letter for letter, text in self.texts.items()}
            letter = known.get(note.text) or ascii_lowercase[len(self.texts)]
            self.texts[letter] = note.text
            letters.append(letter)
        return tuple(letters)


def _common(records: Sequence[Record]) -> dict[str, str]:
    """Parts of the scope in which all numbers agree."""
    values = {part: {str(one[part]) for one in records} for part in SCOPE}
    return {part: found.pop() for part, found in values.items() if len(found) == 1}
