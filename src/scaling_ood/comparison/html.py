"""One self-contained HTML page with all tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from scaling_ood.comparison.grid import Block, Heading, Line, PaperTable
from scaling_ood.comparison.sources import BenchmarkState
from scaling_ood.comparison.writing import Hand, shown_labels


def render_page(tables: Sequence[PaperTable], states: Sequence[BenchmarkState] = ()) -> str:
    """The page: how far each benchmark has come, then the tables.

    Args:
        tables: In their order on the page.
        states: What is said of the benchmarks; without any the section is left out.
    """
    return _environment().get_template("page.html").render(tables=tables, states=states)


def _environment() -> Environment:
    """Jinja with everything escaped and no undefined names; the look is that of the benchmarks' reports."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("scaling_ood.comparison", "."), PackageLoader("scaling_ood.report", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(written=Hand().write)
    environment.globals.update(shown_lines=_shown_lines)
    return environment


def _shown_lines(block: Block) -> list[tuple[Line, list[Heading]]]:
    """The lines that show something, each with the headings that begin there, by the number of lines that they span."""
    lines = tuple(line for line in block.lines if block.is_measured or not line.is_empty)
    texts = [tuple(label.text for label in line.labels) for line in lines]
    shown = []
    for place, (line, labels) in enumerate(shown_labels(lines)):
        begin = [(label, texts[place][: depth + 1]) for depth, label in enumerate(labels) if label is not None]
        headings = [
            replace(label, span=len(list(takewhile(lambda other: other[: len(own)] == own, texts[place:]))))  # noqa: B023
            for label, own in begin
        ]
        shown.append((line, headings))
    return shown
