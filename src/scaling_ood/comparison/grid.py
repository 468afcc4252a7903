"""One of the paper's tables, laid out for any format: headings, lines of cells, footnotes, gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from scaling_ood.comparison.sources import Gap

Kind = Literal["paper", "ours", "difference"]
Tone = Literal["", "agrees", "better", "worse", "differs"]


@dataclass(frozen=True)
class Cell:
    """One value.

    Attributes:
        kind: `paper`, `ours` or `difference`.
        value: In per cent or points, or a count; none where there is no number.
        decimals: Digits to show after the point.
        tone: How ours compares with the paper's; of differences only.
        marks: Of the footnotes about this number alone.
        gap: Why there is no number of ours.
    """

    kind: Kind
    value: float | None
    decimals: int
    tone: Tone = ""
    marks: tuple[str, ...] = ()
    gap: str = ""


@dataclass(frozen=True)
class Heading:
    """A label of rows or columns.

    Attributes:
        text: What it says.
        marks: Of the footnotes about all that it heads.
        span: Number of lines or columns that it heads.
    """

    text: str
    marks: tuple[str, ...] = ()
    span: int = 1


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        labels: Its headings, outermost first.
        part: What it shows, where that is a matter of lines.
        cells: One per column.
    """

    labels: tuple[Heading, ...]
    part: str
    cells: tuple[Cell, ...]

    @property
    def is_empty(self) -> bool:
        """Whether it would show numbers of ours and has none."""
        return all(cell.kind != "paper" and cell.value is None for cell in self.cells)


@dataclass(frozen=True)
class Block:
    """Lines that belong together.

    Attributes:
        lines: At least one.
        gaps: What has no number of ours.
        is_measured: Whether any number of ours is there.
    """

    lines: tuple[Line, ...]
    gaps: tuple[Gap, ...]
    is_measured: bool


@dataclass(frozen=True)
class PaperTable:
    """A table in the paper's form, with our values.

    Attributes:
        number: `1` to `7`, or `text`.
        heading: `Table 1`.
        title: What it is about.
        marks: Of the footnotes about the whole table.
        stubs: Names of the columns of headings; the last is `value`, for `paper` and `ours`, where these are lines.
        header: Levels of column headings, outermost first; the spans of a level add up to the number of columns.
        blocks: The lines.
        footnotes: Mark to text.
        sources: What our numbers were measured on.
        gaps: Every reason for a missing number of ours, with the command that makes it.
    """

    number: str
    heading: str
    title: str
    marks: tuple[str, ...]
    stubs: tuple[str, ...]
    header: tuple[tuple[Heading, ...], ...]
    blocks: tuple[Block, ...]
    footnotes: Mapping[str, str]
    sources: tuple[str, ...]
    gaps: tuple[Gap, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines in their order."""
        return tuple(line for block in self.blocks for line in block.lines)

    @property
    def columns(self) -> int:
        """Number of columns of cells."""
        return len(self.lines[0].cells)

    @property
    def edges(self) -> tuple[int, ...]:
        """Columns that begin a group of columns."""
        outer = self.header[0] if len(self.header) > 1 else ()
        return tuple(accumulate((heading.span for heading in outer[:-1]), initial=0)) if outer else ()
