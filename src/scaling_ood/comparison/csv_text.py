"""A table as CSV: one line per line of the table, every heading written out, no footnotes."""

from __future__ import annotations

import csv
import io

from scaling_ood.comparison.grid import PaperTable
from scaling_ood.comparison.writing import Hand

HAND = Hand(dash="", minus="-", thousands="")


def render_csv(table: PaperTable) -> str:
    """The table with plain numbers, empty where there is none; levels of column headings are joined by ` / `."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*table.stubs, *column_names(table)])
    for line in table.lines:
        labels = [label.text for label in line.labels] + ([line.part] if line.part else [])
        writer.writerow([*labels, *(HAND.write(cell) for cell in line.cells)])
    return buffer.getvalue()


def column_names(table: PaperTable) -> list[str]:
    """Every column by all its headings."""
    levels = [[heading.text for heading in level for _ in range(heading.span)] for level in table.header]
    return [" / ".join(parts) for parts in zip(*levels, strict=True)]
