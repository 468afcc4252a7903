"""One model of a table for all formats: levels of headings, lines of cells, and what stands under them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby

DASH = "\N{EN DASH}"
"""Stands where there is no number."""

MINUS = "\N{MINUS SIGN}"

STAR = "\N{BLACK STAR}"
"""Stands beside what cannot be told from the best of its column."""


@dataclass(frozen=True)
class Cell:
    """One number as it is shown.

    Attributes:
        value: In the unit of the table (per cent, points, a count); none where there is no number.
        decimals: Digits after the point.
        signed: Whether it is a difference, whose sign is always written.
        sd: Its standard deviation over seeds, where there are several.
        interval: Bounds of its 95 % interval, where they are known.
        tied: Whether it cannot be told from the best of its column.
        look: Words for the style sheet of a page, such as `mean` or `difference better`.
        marks: Letters of the footnotes about this number alone.
        gap: Why there is no number.
    """

    value: float | None = None
    decimals: int = 1
    signed: bool = False
    sd: float | None = None
    interval: tuple[float, float] | None = None
    tied: bool = False
    look: str = ""
    marks: tuple[str, ...] = ()
    gap: str = ""

    @property
    def text(self) -> str:
        """The number alone, or a dash.

        >>> Cell(-1.25, signed=True).text, Cell(31411, decimals=0).text, Cell().text
        ('\N{MINUS SIGN}1.2', '31,411', '\N{EN DASH}')
        """
        return DASH if self.value is None else self._written(self.value)

    @property
    def spread(self) -> str:
        """The standard deviation, or nothing."""
        return "" if self.sd is None else self._written(self.sd)

    @property
    def bounds(self) -> tuple[str, ...]:
        """Both ends of the interval, or nothing.

        >>> Cell(83.1, interval=(81.89, 84.21)).bounds
        ('81.9', '84.2')
        """
        return tuple(map(self._written, self.interval or ()))

    @property
    def reach(self) -> tuple[float, float, float] | None:
        """Lower end, value and upper end, all the value where there is no interval; none where there is no number.

        >>> Cell(83.1).reach, Cell().reach
        ((83.1, 83.1, 83.1), None)
        """
        if self.value is None:
            return None
        low, high = self.interval or (self.value, self.value)
        return low, self.value, high

    def _written(self, value: float) -> str:
        sign = "+" if self.signed else ""
        return f"{value:{sign}z,.{self.decimals}f}".replace("-", MINUS)


@dataclass(frozen=True)
class Heading:
    """What stands over columns or before lines.

    Attributes:
        text: What it says.
        under: Small lines under it.
        marks: Letters of the footnotes about all that it heads.
        span: Number of columns that it heads.
        look: Words for the style sheet of a page.
    """

    text: str
    under: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    span: int = 1
    look: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        stubs: Its headings, outermost first; one that the line above has too is written once.
        cells: One per column.
        gap: One reason why none of its cells has a number.
        look: Words for the style sheet of a page.
    """

    stubs: tuple[Heading, ...]
    cells: tuple[Cell, ...]
    gap: str = ""
    look: str = ""


@dataclass(frozen=True)
class Gap:
    """Why numbers are missing.

    Attributes:
        reason: Names what is missing.
        command: What makes it; empty where nothing does.
    """

    reason: str
    command: str = ""


@dataclass(frozen=True)
class Block:
    """Lines that belong together; `gaps` says why nothing in them was measured."""

    lines: tuple[Line, ...]
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table, ready to be written.

    Attributes:
        name: Short and without spaces; part of addresses on a page.
        title: Its heading.
        about: The heading's second part.
        marks: Letters of the footnotes about the whole table.
        stubs: What the headings of lines are called.
        header: Levels of column headings, outermost first; the spans of a level add up to the number of columns.
        blocks: The lines.
        footnotes: Letter to text.
        notes: What must be known to read it: a term and what it stands for.
        gaps: Every reason for a missing number.
    """

    name: str
    title: str
    about: str
    stubs: tuple[str, ...]
    header: tuple[tuple[Heading, ...], ...]
    blocks: tuple[Block, ...]
    marks: tuple[str, ...] = ()
    footnotes: dict[str, str] = field(default_factory=dict)
    notes: tuple[tuple[str, str], ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines in their order."""
        return tuple(line for block in self.blocks for line in block.lines)

    @property
    def columns(self) -> int:
        """Number of columns of cells."""
        return sum(heading.span for heading in self.header[-1])

    @property
    def edges(self) -> tuple[int, ...]:
        """Columns that begin a group of columns."""
        outer = self.header[0] if len(self.header) > 1 else ()
        return tuple(accumulate((heading.span for heading in outer[:-1]), initial=0)) if outer else ()

    @property
    def column_headings(self) -> list[tuple[Heading, ...]]:
        """Of each column all its headings, outermost first."""
        levels = [[heading for heading in level for _ in range(heading.span)] for level in self.header]
        return list(zip(*levels, strict=True))


def headings(
    paths: Sequence[tuple[str, ...]], heading: Callable[[tuple[str, ...]], Heading] = lambda path: Heading(path[-1])
) -> tuple[tuple[Heading, ...], ...]:
    """Levels of column headings from the texts over each column, outermost first; equal neighbours share one.

    Args:
        paths: One per column, all of one length.
        heading: Makes the heading of a path, or of the beginning of one; its span is set here.

    >>> [[(one.text, one.span) for one in level] for level in headings([("a", "x"), ("a", "y"), ("b", "x")])]
    [[('a', 2), ('b', 1)], [('x', 1), ('y', 1), ('x', 1)]]
    """
    return tuple(
        tuple(replace(heading(begin), span=len(list(same))) for begin, same in groupby(path[:depth] for path in paths))
        for depth in range(1, len(paths[0]) + 1 if paths else 1)
    )


def opened(block: Block) -> Iterator[tuple[Line, list[tuple[Heading, int] | None]]]:
    """Each line with the headings that begin there, and over how many lines they hold; none where one goes on."""
    paths = [tuple(stub.text for stub in line.stubs) for line in block.lines]
    for place, line in enumerate(block.lines):
        begun: list[tuple[Heading, int] | None] = []
        for depth, stub in enumerate(line.stubs, start=1):
            own = paths[place][:depth]
            end = next((n for n in range(place, len(paths)) if paths[n][:depth] != own), len(paths))
            begun.append(None if place and paths[place - 1][:depth] == own else (stub, end - place))
        yield line, begun
