"""The results table for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd

from scaling_ood.report.tables import Column, Number, ResultsTable, Row, infinite_scores, percent, results_tables

WIDTH = 120
"""No line is longer, in characters."""

_LONGEST_NAME = 32
_DASH = "-"


def results_text(results: pd.DataFrame) -> str:
    """Results as compact plain text, in per cent with one decimal.

    For each convention (positive class, aggregation, labels, ...) the AUROC of detectors by OOD sets, with `*` where a
    detector is statistically tied with the best, then the means of FPR95 and AUPR, then the gaps with their reasons;
    last, where scores are infinite. A table too wide for `WIDTH` columns continues in further blocks.

    Args:
        results: With the columns of `RESULT_COLUMNS`.

    Raises:
        ValueError: A public column is missing, or a detector has two rows in one place of a table.
    """
    infinite = ["\n".join(textwrap.fill(line, WIDTH) for line in infinite_scores(results))]
    return "\n\n".join([*(_table_text(table) for table in results_tables(results)), *filter(None, infinite)]) + "\n"


def _table_text(table: ResultsTable) -> str:
    """One table with its heading, its blocks and its gaps."""
    measured = [row for row in table.rows if not row.gap]
    parts = [_heading(table)]
    if measured:
        means = [column for column in table.columns if column.is_mean] or list(table.columns)
        auroc = [("auroc", column, column.ood_set) for column in table.columns]
        others = [(name, column, f"{column.ood_set} {name.upper()}") for column in means for name in ("fpr95", "aupr")]
        parts += [
            "AUROC %, higher is better; * = cannot be told from the best of its column\n"
            + _grid(table, measured, auroc),
            "FPR95 % (lower is better) and AUPR % (higher is better)\n" + _grid(table, measured, others),
        ]
    return "\n\n".join(parts + _gap_lines(table))


def _heading(table: ResultsTable) -> str:
    """What the numbers are about: one line, wrapped."""
    names = {"positive_class": "positive class", "in_dist": "in-distribution", "fpr_rule": "FPR rule"}
    stated = [f"{names.get(key, key)}: {value}" for key, value in table.keys.items() if value]
    return textwrap.fill(" | ".join(stated), WIDTH)


def _grid(table: ResultsTable, rows: Sequence[Row], wanted: Sequence[tuple[str, Column, str]]) -> str:
    """Metrics of some columns under their titles, in as many blocks as the width asks for."""
    names = [_fit("detector"), *(_fit(row.detector) for row in rows)]
    left = [name.ljust(max(map(len, names))) for name in names]
    blocks, block = [], left
    for metric, column, title in wanted:
        place = table.columns.index(column)
        cells = [_fit(title) + " ", *(_cell(row.entries[place].numbers.get(metric)) for row in rows)]
        cells = [cell.rjust(max(map(len, cells))) for cell in cells]
        if block is not left and len(block[0]) + 1 + len(cells[0]) > WIDTH:
            blocks.append(block)
            block = left
        block = [f"{line} {cell}" for line, cell in zip(block, cells, strict=True)]
    return "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in [*blocks, block])


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
