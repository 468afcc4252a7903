r"""Tables as LaTeX, to be read by `\input`; they need the packages booktabs and graphicx."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scaling_ood.report.table import DASH, MINUS, STAR, Block, Cell, Heading, Table, opened

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{DOWNWARDS ARROW}": r"$\downarrow$",
    "\N{UPWARDS ARROW}": r"$\uparrow$",
    "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    STAR: r"$\star$",
    DASH: "--",
    MINUS: "$-$",
    '"': "''",
}


def latex_text(tables: Sequence[Table], of: str = "") -> str:
    r"""One `table*` per table, no wider than the text, with notes, footnotes and gaps under it.

    Args:
        tables: In their order.
        of: What follows each title in its caption, such as ` of the paper`.
    """
    return "\n\n".join(["% Needs \\usepackage{booktabs,graphicx}", *(_table(table, of) for table in tables)]) + "\n"


def _table(table: Table, of: str) -> str:
    body = "\n\\midrule\n".join("\n".join(_lines(block)) for block in table.blocks)
    notes = [f"\\textsuperscript{{{mark}}} {_escaped(text)}" for mark, text in table.footnotes.items()]
    notes += [f"{_escaped(term)}: {_escaped(meaning)}." for term, meaning in table.notes]
    notes += [f"{_escaped(gap.reason)}{_command(gap.command)}." for gap in table.gaps]
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering",
            f"\\caption{{{_escaped(table.title + of)}. {_escaped(table.about)}{_raised(table.marks)}}}",
            r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
            f"\\begin{{tabular}}{{{'l' * len(table.stubs)}{'r' * table.columns}}}",
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


def _header(table: Table) -> Iterator[str]:
    for depth, level in enumerate(table.header, start=1):
        last = depth == len(table.header)
        names = [_escaped(name) if last else "" for name in table.stubs]
        yield _row([*names, *map(_spanning, level)])
        if not last:
            yield _rules(level, len(table.stubs))


def _spanning(heading: Heading) -> str:
    text = _heading(heading)
    return text if heading.span == 1 else f"\\multicolumn{{{heading.span}}}{{c}}{{{text}}}"


def _heading(heading: Heading) -> str:
    text = _escaped(heading.text) + _raised(heading.marks)
    if not heading.under:
        return text
    small = [f"{{\\scriptsize {_escaped(line)}}}" for line in heading.under]
    return "\\shortstack{" + "\\\\".join([text, *small]) + "}"


def _rules(level: Sequence[Heading], start: int) -> str:
    rules = []
    for heading in level:
        rules.append(f"\\cmidrule(lr){{{start + 1}-{start + heading.span}}}")
        start += heading.span
    return "".join(rules)


def _lines(block: Block) -> Iterator[str]:
    for line, begun in opened(block):
        stubs = ["" if one is None else _heading(one[0]) for one in begun]
        if line.gap:
            yield _row([*stubs, f"\\multicolumn{{{len(line.cells)}}}{{l}}{{-- {_escaped(line.gap)}}}"])
        else:
            yield _row([*stubs, *map(_cell, line.cells)])


def _cell(cell: Cell) -> str:
    if cell.value is None:
        return "--" + _raised(cell.marks)
    number = cell.text.replace(",", "{,}").replace(MINUS, "-")
    number = f"\\mathbf{{{number}}}^\\star" if cell.tied else number
    spread = f" \\pm {cell.spread}" if cell.spread else ""
    interval = f" {{\\scriptsize {'--'.join(cell.bounds)}}}" if cell.bounds else ""
    return f"${number}{spread}${interval}{_raised(cell.marks)}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _raised(marks: Sequence[str]) -> str:
    return f"\\textsuperscript{{{','.join(marks)}}}" if marks else ""


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)
