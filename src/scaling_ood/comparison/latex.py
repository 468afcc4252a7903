r"""Tables as LaTeX, to be read by `\input`; they need the packages booktabs and graphicx."""

from __future__ import annotations

from collections.abc import Sequence

from scaling_ood.comparison.grid import Block, Heading, PaperTable
from scaling_ood.comparison.layouts import DIFFERENCE
from scaling_ood.comparison.writing import Hand, shown_labels

HAND = Hand(dash="--", minus="-", thousands="{,}")

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{DOWNWARDS ARROW}": r"$\downarrow$",
    "\N{UPWARDS ARROW}": r"$\uparrow$",
    DIFFERENCE: r"$\Delta$",
    '"': "''",
}


def render_latex(tables: Sequence[PaperTable]) -> str:
    r"""One `table*` per table, no wider than the text, with footnotes and gaps under it."""
    return "\n\n".join(["% Needs \\usepackage{booktabs,graphicx}", *(_table(table) for table in tables)]) + "\n"


def _table(table: PaperTable) -> str:
    stubs, columns = len(table.stubs), table.columns
    body = "\n\\midrule\n".join("\n".join(_lines(block)) for block in table.blocks)
    notes = [f"\\textsuperscript{{{mark}}} {_escaped(text)}" for mark, text in table.footnotes.items()]
    notes += [f"Ours: {_escaped(source)}." for source in table.sources]
    notes += [f"{_escaped(gap.reason)}{_command(gap.command)}." for gap in table.gaps]
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering",
            f"\\caption{{{_escaped(table.heading)} of the paper. {_escaped(table.title)}{_raised(table.marks)}}}",
            r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
            f"\\begin{{tabular}}{{{'l' * stubs}{'r' * columns}}}",
            r"\toprule",
            *_header(table),
            r"\midrule",
            body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\par\smallskip\begin{minipage}{\textwidth}\scriptsize\raggedright",
            "\n\n".join(notes),
            r"\end{minipage}",
            r"\end{table*}",
        ]
    )


def _command(text: str) -> str:
    # Two hyphens in a row could be set as one dash.
    return f": \\texttt{{{_escaped(text).replace('--', '-{}-')}}}" if text else ""


def _header(table: PaperTable) -> list[str]:
    lines = []
    for depth, level in enumerate(table.header, start=1):
        last = depth == len(table.header)
        names = [_escaped(name) if last else "" for name in table.stubs]
        lines.append(_row([*names, *(_spanning(heading) for heading in level)]))
        if not last:
            lines.append(_rules(level, len(table.stubs)))
    return lines


def _spanning(heading: Heading) -> str:
    text = _escaped(heading.text) + _raised(heading.marks)
    return text if heading.span == 1 else f"\\multicolumn{{{heading.span}}}{{c}}{{{text}}}"


def _rules(level: Sequence[Heading], start: int) -> str:
    rules = []
    for heading in level:
        rules.append(f"\\cmidrule(lr){{{start + 1}-{start + heading.span}}}")
        start += heading.span
    return "".join(rules)


def _lines(block: Block) -> list[str]:
    written = []
    for line, labels in shown_labels(block.lines):
        if line.is_empty and not block.is_measured:
            continue
        stubs = ["" if label is None else _escaped(label.text) + _raised(label.marks) for label in labels]
        stubs += [_escaped(line.part)] if line.part else []
        cells = [_value(HAND.write(cell), cell.value is not None) + _raised(cell.marks) for cell in line.cells]
        written.append(_row([*stubs, *cells]))
    return written


def _value(text: str, is_number: bool) -> str:
    return f"${text}$" if is_number else text


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _raised(marks: Sequence[str]) -> str:
    return f"\\textsuperscript{{{','.join(marks)}}}" if marks else ""


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)
