"""Tables as Markdown, as GitHub shows it."""

from __future__ import annotations

from collections.abc import Sequence

from scaling_ood.comparison.grid import Block, Cell, Heading, PaperTable
from scaling_ood.comparison.writing import Hand, shown_labels

HAND = Hand(minus="-")


def render_markdown(tables: Sequence[PaperTable]) -> str:
    """One section per table: the lines, what ours was measured on, footnotes, gaps with their commands."""
    return "\n\n".join(_section(table) for table in tables) + "\n"


def _section(table: PaperTable) -> str:
    names = [*table.stubs, *_column_names(table)]
    rule = [":--" if place < len(table.stubs) else "--:" for place in range(len(names))]
    lines = [_row(names), _row(rule), *(line for b in table.blocks for line in _lines(b))]
    parts = [f"## {table.heading}. {_escaped(table.title)}{_raised(table.marks)}", "\n".join(lines)]
    parts += ["Ours:\n\n" + "\n".join(f"- {_escaped(source)}" for source in table.sources)] if table.sources else []
    parts += ["\n".join(f"<sup>{mark}</sup> {_escaped(text)}  " for mark, text in table.footnotes.items())]
    if table.gaps:
        commands = (f"{_escaped(gap.reason)}" + (f": `{gap.command}`" if gap.command else "") for gap in table.gaps)
        parts.append("No number of ours:\n\n" + "\n".join(f"- {line}" for line in commands))
    return "\n\n".join(part for part in parts if part)


def _column_names(table: PaperTable) -> list[str]:
    """Every column by all its headings, with the marks of these."""
    levels = [[_label(heading) for heading in level for _ in range(heading.span)] for level in table.header]
    return [" / ".join(parts) for parts in zip(*levels, strict=True)]


def _lines(block: Block) -> list[str]:
    written = []
    for line, labels in shown_labels(block.lines):
        if line.is_empty and not block.is_measured:
            continue
        stubs = [_label(label) for label in labels] + ([line.part] if line.part else [])
        written.append(_row([*stubs, *(_value(cell) for cell in line.cells)]))
    return written


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _label(label: Heading | None) -> str:
    return "" if label is None else _escaped(label.text) + _raised(label.marks)


def _value(cell: Cell) -> str:
    return HAND.write(cell) + _raised(cell.marks)


def _raised(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""


def _escaped(text: str) -> str:
    for character in "\\|*_#<>":
        text = text.replace(character, "\\" + character)
    return text
