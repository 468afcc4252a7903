"""Laying out one of the paper's tables: which number stands where, and what its headings and footnotes are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

import pandas as pd

from scaling_ood.comparison.comparing import typed
from scaling_ood.comparison.grid import Block, Cell, Heading, Kind, Line, PaperTable, Tone
from scaling_ood.comparison.layouts import AGGREGATION_WORDS, DIFFERENCE, LAYOUTS, Layout
from scaling_ood.comparison.marking import Marks
from scaling_ood.comparison.published import QUANTITIES, TABLES, published_numbers
from scaling_ood.comparison.sources import gaps_of, sources_of
from scaling_ood.images.wording import unknown

Record = Mapping[str, Any]
Key = tuple[str, ...]
Axis = Literal["rows", "columns"]


class Part(NamedTuple):
    """What a cell shows of a number: the paper's, or ours, or the difference.

    Attributes:
        kind: Which of the three.
        turn: Which of several aggregations of ours, from 0.
        label: How it is called in headings.
    """

    kind: Kind
    turn: int
    label: str


def paper_table(number: str, comparison: pd.DataFrame) -> PaperTable:
    """Lay a table out.

    Args:
        number: One of `TABLES`.
        comparison: With the columns of `COMPARISON_COLUMNS`, as `compare` gives it or as it is read from a CSV file.

    Raises:
        ValueError: There is no such table, or nothing of it in the comparison.
    """
    if number not in TABLES:
        raise ValueError(unknown("table", number, TABLES))
    frame = typed(comparison)
    records = [
        {str(name): value for name, value in row.items()} for row in frame[frame["table"] == number].to_dict("records")
    ]
    if not records:
        raise ValueError(f"the comparison holds nothing of table {number}")
    return _Grid(number, records).table()


class _Grid:
    """Rows and columns of one table, while it is being laid out."""

    def __init__(self, number: str, records: Sequence[Record]) -> None:
        """Take the numbers."""
        self.number = number
        self.layout: Layout = LAYOUTS[number]
        self.records = records
        self.marks = Marks(number)
        self.row_keys = _in_order_of_print(number, self.layout.rows, records)
        self.column_keys = _in_order_of_print(number, self.layout.columns, records)
        self.found: dict[tuple[Key, Key], list[Record]] = {}
        for one in records:
            self.found.setdefault((_key(self.layout.rows, one), _key(self.layout.columns, one)), []).append(one)
        self.parts = _parts(next(iter(self.found.values())))

    def table(self) -> PaperTable:
        """The table, laid out."""
        # In the order of reading, so that footnotes are marked in it.
        whole = self.marks.of_table()
        header = self._header()
        # Lines of one in-distribution set belong together where they are divided by it first.
        divided = next(iter(self.layout.rows)) == "in_dist"
        by_set = groupby(self.row_keys, key=lambda key: key[0] if divided else "")
        blocks = tuple(self._block(list(keys)) for _, keys in by_set)
        stubs = tuple(self.layout.rows.values())
        return PaperTable(
            number=self.number,
            heading=self.layout.heading,
            title=self.layout.title,
            marks=whole,
            stubs=(*stubs, "value") if self.layout.beside == "rows" else stubs,
            header=header,
            blocks=blocks,
            footnotes=self.marks.texts,
            sources=sources_of(self.records),
            gaps=gaps_of(self.records),
        )

    def _header(self) -> tuple[tuple[Heading, ...], ...]:
        beside = self.layout.beside == "columns"
        per_key = len(self.parts) if beside else 1
        levels = []
        for depth in range(1, len(self.layout.columns) + 1):
            prefixes = [(prefix, len(list(keys))) for prefix, keys in groupby(key[:depth] for key in self.column_keys)]
            levels.append(tuple(self._heading("columns", prefix, per_key * count) for prefix, count in prefixes))
        if beside:
            levels.append(tuple(Heading(part.label) for _ in self.column_keys for part in self.parts))
        return tuple(levels)

    def _block(self, keys: list[Key]) -> Block:
        lines = tuple(line for key in keys for line in self._lines(key))
        inside = [one for one in self.records if _key(self.layout.rows, one) in keys]
        measured = any(cell.value is not None for line in lines for cell in line.cells if cell.kind == "ours")
        return Block(lines, gaps_of(inside), measured)

    def _lines(self, key: Key) -> list[Line]:
        labels = tuple(self._heading("rows", key[:depth]) for depth in range(1, len(key) + 1))
        if self.layout.beside == "columns":
            cells = tuple(self._cell(key, column, part) for column in self.column_keys for part in self.parts)
            return [Line(labels, "", cells)]
        return [
            Line(labels, part.label, tuple(self._cell(key, column, part) for column in self.column_keys))
            for part in self.parts
        ]

    def _cell(self, row: Key, column: Key, part: Part) -> Cell:
        turns = self.found.get((row, column), [])
        if part.turn >= len(turns):
            return Cell(part.kind, None, 0)
        record = turns[part.turn]
        printed = int(record["decimals"])
        count = not QUANTITIES[record["metric"]].is_share
        shown = 0 if count else max(1, printed)
        if part.kind == "paper":
            marks = self.marks.of_number(record)
            return Cell("paper", _number(record["published"]), printed, marks=marks)
        if part.kind == "ours":
            return Cell("ours", _number(record["ours"]), shown, gap=record["gap"])
        return Cell("difference", _number(record["difference"]), shown, _tone(record), gap=record["gap"])

    def _heading(self, axis: Axis, prefix: Key, span: int = 1) -> Heading:
        marks = self.marks.of_heading(self._under(axis, prefix), self._under(axis, prefix[:-1]))
        return Heading(prefix[-1], marks, span)

    def _under(self, axis: Axis, prefix: Key) -> list[Record]:
        """The numbers under a heading."""
        levels = tuple(self.layout.rows) if axis == "rows" else self.layout.columns
        return [one for one in self.records if _key(levels, one)[: len(prefix)] == prefix]


def _in_order_of_print(table: str, levels: Iterable[str], records: Sequence[Record]) -> list[Key]:
    """Headings of rows or columns; the paper's order holds where only part of a table is compared."""
    printed = [_key(levels, vars(number)) for number in published_numbers(table)]
    there = [_key(levels, one) for one in records]
    known = set(there)
    return list(dict.fromkeys([key for key in printed if key in known] + there))


def _parts(turns: Sequence[Record]) -> list[Part]:
    """The paper's number, then ours and the difference for each of our aggregations of one number."""
    parts = [Part("paper", 0, "paper")]
    for turn, record in enumerate(turns):
        told = f", {AGGREGATION_WORDS[record['aggregation']]}" if len(turns) > 1 else ""
        parts += [Part("ours", turn, "ours" + told), Part("difference", turn, DIFFERENCE)]
    return parts


def _key(levels: Iterable[str], record: Record) -> Key:
    """Texts of a number's headings."""
    return tuple(QUANTITIES[record[level]].title if level == "metric" else str(record[level]) for level in levels)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _tone(record: Record) -> Tone:
    if pd.isna(record["difference"]):
        return ""
    if record["agrees"]:
        return "agrees"
    gain = record["difference"] * QUANTITIES[record["metric"]].better
    return "differs" if gain == 0 else "better" if gain > 0 else "worse"
