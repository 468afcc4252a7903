"""A table as CSV: one line per line of the table, every heading written out, no footnotes."""

from __future__ import annotations

import csv
import io

from scaling_ood.report.table import MINUS, Cell, Table


def csv_text(table: Table) -> str:
    """The table with plain numbers, empty where there is none; levels of column headings are joined by ` / `."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = (" / ".join(heading.text for heading in levels) for levels in table.column_headings)
    writer.writerow([*table.stubs, *names])
    for line in table.lines:
        writer.writerow([*(stub.text for stub in line.stubs), *map(_plain, line.cells)])
    return buffer.getvalue()


def _plain(cell: Cell) -> str:
    return "" if cell.value is None else cell.text.replace(",", "").replace(MINUS, "-")
