"""Nodes of the comparison with the paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pandas as pd

from scaling_ood.products.preparation import Manifest
from scaling_ood.products.records import RESULT_COLUMNS
from scaling_ood.products.scores import Quality
from scaling_ood.report import csv_text, latex_text, markdown_text
from scaling_ood.report.paper import TABLES, compare, paper_table, places_of, render_page, typed
from scaling_ood.tasks import tasks

T = TypeVar("T")
Collected = Mapping[str, Callable[[], T]]
"""`<benchmark>/<setting>`, or `<benchmark>/<setting>/<network>`, to what loads its product."""


def compare_with_paper(
    results: Collected[pd.DataFrame], qualities: Collected[Quality], manifests: Collected[Manifest]
) -> pd.DataFrame:
    """Our number for each published one, of whatever has been run.

    Returns:
        With the columns of `scaling_ood.report.paper.COMPARISON_COLUMNS`.
    """
    rows = [load().reindex(columns=list(RESULT_COLUMNS)) for load in results.values()]
    shared = {task.name: task.spec.shared for task in tasks()}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, load in qualities.items():
        benchmark, setting, network = name.split("/")
        if network == shared.get(setting):
            quality = load()
            found[benchmark, setting] = {quality.measure: quality.value}
    prepared, counts = {}, {}
    for name, manifest in manifests.items():
        benchmark, setting = name.split("/")
        of = manifest()
        scenes = of.preparation.scenes
        share = {"anomalous_share": scenes.anomalous_share} if scenes else {}
        prepared[benchmark, setting] = {"images": of.preparation.images, **share}
        if (benchmark, setting) in places_of("classes"):
            known = of.rows.groupby("image_set")["class_name"].nunique()
            counts[benchmark, setting] = {str(image_set): int(count) for image_set, count in known.items()}
    return compare(
        pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(),
        qualities=found,
        preparations=prepared,
        class_counts=counts,
    )


def render_tables(comparison: pd.DataFrame) -> tuple[str, str, str, dict[str, str]]:
    """All tables: a page, Markdown, LaTeX, and CSV by the name of the table."""
    tables = {number: paper_table(number, comparison) for number in TABLES}
    shown = list(tables.values())
    csv = {f"table_{number}": csv_text(table) for number, table in tables.items()}
    return render_page(shown, typed(comparison)), markdown_text(shown), latex_text(shown, " of the paper"), csv
