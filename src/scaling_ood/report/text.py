"""Tables for a terminal, and the results as compact text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pandas as pd

from scaling_ood.report.results import KEY_WORDS, Results, Row, arranged, infinite_scores
from scaling_ood.report.table import DASH, MINUS, Block, Cell, Heading, Line, Table

WIDTH = 100
"""No line is longer, in characters."""

_LONGEST_NAME = 32
_WIDEST_PLOT, _NARROWEST_PLOT = 36, 12
_INTERVAL = "95 % interval"
_GUESSING = 50.0
_LINE, _DOT, _CHANCE = "─", "●", "┊"
_ASCII = str.maketrans({_LINE: "-", _DOT: "o", _CHANCE: ":", "±": "+-", "…": "~", MINUS: "-", DASH: "-"})


def results_text(results: pd.DataFrame) -> str:
    """Results as compact plain text, in per cent with one decimal.

    For each convention (positive class, aggregation, targets, ...) the AUROC of detectors by OOD sets, with `*` where a
    detector is statistically tied with the best, then the means of FPR95 and AUPR, then the gaps with their reasons,
    unless the next convention has the same ones; last, where scores are infinite. The first column with a number, the
    mean where there is one, has its 95 % interval
    in figures and drawn, and the detectors stand in its order.

    Args:
        results: With the columns of `RESULT_COLUMNS`.

    Raises:
        ValueError: A public column is missing, or a detector has two rows in one place of a table.
    """
    parts: list[str] = []
    told = ""
    for convention in arranged(results):
        gaps = _gaps_text(convention)
        if gaps != told and told:
            parts.append(told)
        parts.append(_convention_text(convention))
        told = gaps
    infinite = "\n".join(map(_wrapped, infinite_scores(results)))
    return "\n\n".join([*parts, *filter(None, [told, infinite])]) + "\n"


def table_text(table: Table, guessing: float | None = None) -> str:
    """The lines that have numbers; what is too wide for `WIDTH` columns continues in further blocks.

    Args:
        table: What to write; the reasons of lines without numbers are left to the reader of `table.gaps`.
        guessing: What guessing reaches; where it is given, the first column with intervals is drawn beside its figures.
    """
    lines = [line for line in table.lines if not line.gap]
    stubs = [[line.stubs[place].text for line in lines] for place in range(len(table.stubs))]
    names = [_aligned(map(_fit, [name, *texts]), str.ljust) for name, texts in zip(table.stubs, stubs, strict=True)]
    left = [" ".join(parts) for parts in zip(*names, strict=True)]
    blocks, block = [], left
    for place, headings in enumerate(table.column_headings):
        cells = [line.cells[place] for line in lines]
        column = _column(" ".join(heading.text for heading in headings), cells)
        if guessing is not None and any(cell.interval for cell in cells):
            column = _with_plot(column, cells, WIDTH - len(left[0]) - 1, guessing)
            guessing = None
        if block is not left and len(block[0]) + 1 + len(column[0]) > WIDTH:
            blocks.append(block)
            block = left
        block = [f"{line} {cell}" for line, cell in zip(block, column, strict=True)]
    return "\n\n".join("\n".join(line.rstrip() for line in shown) for shown in [*blocks, block])


def in_encoding(text: str, encoding: str | None) -> str:
    """The text as it is if the encoding can show it, otherwise drawn with ASCII; what has no ASCII form becomes `?`.

    >>> in_encoding("msp 83.1 ─●─", "utf-8"), in_encoding("msp 83.1 ─●─", "ascii")
    ('msp 83.1 ─●─', 'msp 83.1 -o-')
    """
    encoding = encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def _convention_text(results: Results) -> str:
    """One convention with its heading and its two tables."""
    stated = [f"{KEY_WORDS.get(key, key)}: {value}" for key, value in results.keys.items() if value]
    parts = [_wrapped(" | ".join(stated))]
    measured = [row for row in results.by_auroc() if not row.gap]
    if measured:
        means = [place for place, column in enumerate(results.columns) if column.is_mean]
        places = range(len(results.columns))
        auroc = _chosen(results, measured, [(place, "auroc", "") for place in places])
        others = [(place, metric, f" {metric.upper()}") for place in means or places for metric in ("fpr95", "aupr")]
        told = "AUROC %, higher is better; * = cannot be told from the best of its column"
        if any(cell.interval for line in auroc.lines for cell in line.cells):
            told += f"; {_LINE}{_DOT}{_LINE} = interval of {_fit(results.columns[results.leading].ood_set)}"
        parts += [
            f"{_wrapped(told)}\n{table_text(auroc, _GUESSING)}",
            "FPR95 % (lower is better) and AUPR % (higher is better)\n"
            + table_text(_chosen(results, measured, others)),
        ]
    return "\n\n".join(parts)


def _gaps_text(results: Results) -> str:
    """What has no number, with the reasons; empty where all has one."""
    gaps = [
        textwrap.fill(f"{where}: {reason}", WIDTH, initial_indent="  ", subsequent_indent="    ")
        for where, reason in results.gaps().items()
    ]
    return "\n".join(["No number", *gaps]) if gaps else ""


def _chosen(results: Results, rows: Sequence[Row], wanted: Sequence[tuple[int, str, str]]) -> Table:
    """Some columns as a table: place, metric, and what follows the set's name; intervals in the leading one alone."""

    def cell(row: Row, place: int, metric: str) -> Cell:
        shown = row.places[place][metric]
        leads = place == results.leading and shown.interval is not None
        return replace(shown, sd=None) if leads else replace(shown, interval=None)

    header = tuple(Heading(_fit(results.columns[place].ood_set + told)) for place, _, told in wanted)
    lines = tuple(
        Line((Heading(row.detector),), tuple(cell(row, place, metric) for place, metric, _ in wanted)) for row in rows
    )
    return Table("", "", "", ("detector",), (header,), (Block(lines),))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH)


def _fit(name: str) -> str:
    """A name short enough for a column."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _aligned(texts: Iterable[str], justify: Callable[[str, int], str]) -> list[str]:
    """Cells of equal width."""
    cells = list(texts)
    return [justify(cell, max(map(len, cells))) for cell in cells]


def _column(title: str, cells: Sequence[Cell]) -> list[str]:
    """Values under their title, with the intervals where there are any."""
    values = _aligned([title + " ", *map(_value, cells)], str.rjust)
    if not any(cell.interval for cell in cells):
        return values
    bounds = [f"[{', '.join(cell.bounds)}]" if cell.interval else "" for cell in cells]
    return [f"{value} {ends}" for value, ends in zip(values, _aligned([_INTERVAL, *bounds], str.ljust), strict=True)]


def _value(cell: Cell) -> str:
    """One value with its standard deviation, and a place for the mark so that digits stay aligned."""
    spread = f" ±{cell.spread}" if cell.spread else ""
    return cell.text.replace(DASH, "-") + spread + ("*" if cell.tied else " ")


def _with_plot(column: list[str], cells: Sequence[Cell], room: int, guessing: float) -> list[str]:
    """A column with its dots and intervals drawn beside it, if the width allows it."""
    width = min(_WIDEST_PLOT, room - len(column[0]) - 2)
    if width < _NARROWEST_PLOT:
        return column
    ends = [end for cell in cells for end in cell.reach or ()]
    low, high = math.floor(min(ends)), math.ceil(max(ends))
    low -= low == high == 100  # noqa: PLR2004 - per cent
    high += low == high
    scale = f"{low}{f'{high}'.rjust(width - len(str(low)))}"
    drawn = [_drawn(cell, low, high, width, guessing) for cell in cells]
    return [f"{shown}  {line}" for shown, line in zip(column, [scale, *drawn], strict=True)]


def _drawn(cell: Cell, low: float, high: float, width: int, guessing: float) -> str:
    """One dot on its interval, on a scale from low to high; and guessing, where it is in view."""
    line = [" "] * width

    def place(value: float) -> int:
        return round((value - low) / (high - low) * (width - 1))

    if low <= guessing <= high:
        line[place(guessing)] = _CHANCE
    if cell.reach:
        start, dot, end = map(place, cell.reach)
        line[start : end + 1] = _LINE * (end - start + 1)
        line[dot] = _DOT
    return "".join(line)
