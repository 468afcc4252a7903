"""Tables as Markdown, as GitHub shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scaling_ood.report.table import DASH, STAR, Block, Cell, Heading, Table, opened


def markdown_text(tables: Sequence[Table]) -> str:
    """One section per table: the lines, how to read them, footnotes, gaps with their commands."""
    return "\n\n".join(_section(table) for table in tables) + "\n"


def _section(table: Table) -> str:
    names = [*table.stubs, *(" / ".join(map(_heading, levels)) for levels in table.column_headings)]
    rule = [":--"] * len(table.stubs) + ["--:"] * table.columns
    lines = [_row(names), _row(rule), *(line for block in table.blocks for line in _lines(block))]
    columns = [(one.text, ", ".join(one.under)) for level in table.header for one in level if one.under]
    gaps = [_escaped(gap.reason) + (f": `{gap.command}`" if gap.command else "") for gap in table.gaps]
    parts = [
        f"## {_escaped(table.title)}. {_escaped(table.about)}{_raised(table.marks)}",
        "\n".join(lines),
        "\n".join(f"- {_escaped(term)}: {_escaped(meaning)}" for term, meaning in (*columns, *table.notes)),
        "\n".join(f"<sup>{mark}</sup> {_escaped(text)}  " for mark, text in table.footnotes.items()),
        "\n".join(["No number:", "", *(f"- {gap}" for gap in gaps)]) if gaps else "",
    ]
    return "\n\n".join(filter(None, parts))


def _lines(block: Block) -> Iterator[str]:
    for line, begun in opened(block):
        stubs = ["" if one is None else "<br>".join([_heading(one[0]), *map(_escaped, one[0].under)]) for one in begun]
        if line.gap:
            yield _row([*stubs, f"{DASH} {_escaped(line.gap)}", *[""] * (len(line.cells) - 1)])
        else:
            yield _row([*stubs, *map(_cell, line.cells)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _heading(heading: Heading) -> str:
    return _escaped(heading.text) + _raised(heading.marks)


def _cell(cell: Cell) -> str:
    number = cell.text + (f" ± {cell.spread}" if cell.spread else "")
    number = f"**{number}**{STAR}" if cell.tied else number
    return number + (f"<br>{DASH.join(cell.bounds)}" if cell.bounds else "") + _raised(cell.marks)


def _raised(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""


def _escaped(text: str) -> str:
    for character in "\\|*_#<>":
        text = text.replace(character, "\\" + character)
    return text
