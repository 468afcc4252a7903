"""The results table for a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from scaling_ood.report.tables import (
    Column,
    Number,
    ResultsTable,
    Row,
    by_auroc,
    infinite_scores,
    interval_text,
    leading,
    percent,
    results_tables,
)

WIDTH = 100
"""No line is longer, in characters."""

_LONGEST_NAME = 32
_WIDEST_PLOT, _NARROWEST_PLOT = 36, 12
_DASH = "-"
_INTERVAL = "95 % interval"
_GUESSING = 0.5
_LINE, _DOT, _CHANCE = "─", "●", "┊"
_ASCII = str.maketrans({_LINE: "-", _DOT: "o", _CHANCE: ":", "±": "+-", "…": "~"})


def results_text(results: pd.DataFrame) -> str:
    """Results as compact plain text, in per cent with one decimal.

    For each convention (positive class, aggregation, labels, ...) the AUROC of detectors by OOD sets, with `*` where a
    detector is statistically tied with the best, then the means of FPR95 and AUPR, then the gaps with their reasons;
    last, where scores are infinite. The first column with a number, the mean where there is one, has its 95 % interval
    in figures and drawn, and the detectors stand in its order. A table too wide for `WIDTH` columns continues in
    further blocks.

    Args:
        results: With the columns of `RESULT_COLUMNS`.

    Raises:
        ValueError: A public column is missing, or a detector has two rows in one place of a table.
    """
    infinite = ["\n".join(textwrap.fill(line, WIDTH) for line in infinite_scores(results))]
    return "\n\n".join([*(_table_text(table) for table in results_tables(results)), *filter(None, infinite)]) + "\n"


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


def _table_text(table: ResultsTable) -> str:
    """One table with its heading, its blocks and its gaps."""
    measured = [row for row in by_auroc(table) if not row.gap]
    parts = [_heading(table)]
    if measured:
        first, means = leading(table), [column for column in table.columns if column.is_mean] or list(table.columns)
        auroc = [_column(table, measured, "auroc", column, column.ood_set) for column in table.columns]
        auroc[first] = _with_plot([row.entries[first].numbers.get("auroc") for row in measured], measured, auroc[first])
        others = [
            _column(table, measured, name, column, f"{column.ood_set} {name.upper()}")
            for column in means
            for name in ("fpr95", "aupr")
        ]
        told = "AUROC %, higher is better; * = cannot be told from the best of its column"
        if _INTERVAL in auroc[first][0]:
            told += f"; {_LINE}{_DOT}{_LINE} = interval of {_fit(table.columns[first].ood_set)}"
        parts += [
            f"{textwrap.fill(told, WIDTH)}\n{_grid(measured, auroc)}",
            "FPR95 % (lower is better) and AUPR % (higher is better)\n" + _grid(measured, others),
        ]
    return "\n\n".join(parts + _gap_lines(table))


def _heading(table: ResultsTable) -> str:
    """What the numbers are about: one line, wrapped."""
    names = {"positive_class": "positive class", "in_dist": "in-distribution", "fpr_rule": "FPR rule"}
    stated = [f"{names.get(key, key)}: {value}" for key, value in table.keys.items() if value]
    return textwrap.fill(" | ".join(stated), WIDTH)


def _grid(rows: Sequence[Row], columns: Sequence[list[str]]) -> str:
    """Columns (a title, then a cell per row), as many beside one another as the width allows, in blocks."""
    left = _aligned(["detector", *(_fit(row.detector) for row in rows)], str.ljust)
    blocks, block = [], left
    for cells in columns:
        if block is not left and len(block[0]) + 1 + len(cells[0]) > WIDTH:
            blocks.append(block)
            block = left
        block = [f"{line} {cell}" for line, cell in zip(block, cells, strict=True)]
    return "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in [*blocks, block])


def _aligned(cells: Sequence[str], justify: Callable[[str, int], str]) -> list[str]:
    """Cells of equal width."""
    return [justify(cell, max(map(len, cells))) for cell in cells]


def _column(table: ResultsTable, rows: Sequence[Row], metric: str, column: Column, title: str) -> list[str]:
    """One metric of one OOD set or mean, under its title; the leading column with its intervals."""
    place = table.columns.index(column)
    numbers = [row.entries[place].numbers.get(metric) for row in rows]
    intervals = ["" if number is None else interval_text(number) for number in numbers]
    if place != leading(table) or not any(intervals):
        return _aligned([_fit(title) + " ", *map(_cell, numbers)], str.rjust)
    values = [_cell(number and replace(number, sd=None)) for number in numbers]
    sides = _aligned([_fit(title) + " ", *values], str.rjust), _aligned([_INTERVAL, *intervals], str.ljust)
    return [f"{value} {bounds}" for value, bounds in zip(*sides, strict=True)]


def _with_plot(numbers: Sequence[Number | None], rows: Sequence[Row], cells: list[str]) -> list[str]:
    """A column with its dots and intervals drawn beside it, if there are any and the width allows it."""
    names = max(len(_fit(row.detector)) for row in rows)
    width = min(_WIDEST_PLOT, WIDTH - max(names, len("detector")) - len(cells[0]) - 3)
    if _INTERVAL not in cells[0] or width < _NARROWEST_PLOT:
        return cells
    ends = [end for number in numbers if number for end in (number.value, *(number.interval or ()))]
    low, high = math.floor(100 * min(ends)), math.ceil(100 * max(ends))
    low -= low == high == 100  # noqa: PLR2004 - per cent
    high += low == high
    scale = f"{low}{f'{high}'.rjust(width - len(str(low)))}"
    drawn = [_drawn(number, low / 100, high / 100, width) for number in numbers]
    return [f"{cell}  {line}" for cell, line in zip(cells, [scale, *drawn], strict=True)]


def _drawn(number: Number | None, low: float, high: float, width: int) -> str:
    """One dot on its interval, on a scale from low to high; and chance, where it is in view."""
    line = [" "] * width

    def place(value: float) -> int:
        return round((value - low) / (high - low) * (width - 1))

    if low <= _GUESSING <= high:
        line[place(_GUESSING)] = _CHANCE
    if number is not None:
        start, end = number.interval or (number.value, number.value)
        line[place(start) : place(end) + 1] = _LINE * (place(end) - place(start) + 1)
        line[place(number.value)] = _DOT
    return "".join(line)


def _cell(number: Number | None) -> str:
    """One value with its standard deviation, and a place for the mark so that digits stay aligned."""
    if number is None:
        return _DASH + " "
    spread = "" if number.sd is None else f" ±{percent(number.sd)}"
    return percent(number.value) + spread + ("*" if number.tied else " ")


def _gap_lines(table: ResultsTable) -> list[str]:
    """Every gap with its reason, detectors without any number first; a list of at most one paragraph."""
    lines = [f"{row.detector}: {row.gap}" for row in table.rows if row.gap]
    for row in table.rows:
        places = zip(table.columns, row.entries, strict=False) if not row.gap else ()
        lines += [
            f"{row.detector} on {column.ood_set}: {entry.gap}"
            for column, entry in places
            if entry.gap and not column.is_mean
        ]
    wrapped = [textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in lines]
    return ["No number\n" + "\n".join(wrapped)] if lines else []


def _fit(name: str) -> str:
    """A name short enough for a column."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
