"""Nodes of the comparison with the paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pandas as pd

from scaling_ood.comparison import (
    TABLES,
    Place,
    compare,
    counterpart_of,
    gather_facts,
    paper_table,
    published_numbers,
    render_csv,
    render_latex,
    render_markdown,
    render_page,
    states_of,
    typed,
)
from scaling_ood.records import RESULT_COLUMNS

T = TypeVar("T")
Collected = Mapping[str, Callable[[], T]]
"""`<benchmark>/<setting>` to what loads its product."""


def compare_with_paper(
    results: Collected[pd.DataFrame],
    accuracies: Collected[dict[str, Any]],
    preparations: Collected[dict[str, Any]],
    manifests: Collected[pd.DataFrame],
) -> pd.DataFrame:
    """Our number for each published one, of whatever has been run.

    Returns:
        With the columns of `scaling_ood.comparison.COMPARISON_COLUMNS`.
    """
    rows = [load().reindex(columns=list(RESULT_COLUMNS)) for load in results.values()]
    facts = gather_facts(
        {_place(name): load() for name, load in accuracies.items()},
        {_place(name): load() for name, load in preparations.items()},
        {_place(name): load for name, load in manifests.items()},
        frozenset(counterpart_of(number).benchmark for number in published_numbers() if number.metric == "classes"),
    )
    return compare(pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(), facts=facts)


def render_tables(comparison: pd.DataFrame) -> tuple[str, str, str, dict[str, str]]:
    """All tables: a page, Markdown, LaTeX, and CSV by the name of the table."""
    tables = [paper_table(number, comparison) for number in TABLES]
    page = render_page(tables, states_of(typed(comparison)))
    csv = {f"table_{table.number}": render_csv(table) for table in tables}
    return page, render_markdown(tables), render_latex(tables), csv


def _place(name: str) -> Place:
    benchmark, setting = name.split("/")
    return Place(benchmark, setting)
