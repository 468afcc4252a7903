"""The graph of the comparison with the paper; no part of `kedro run`, and the same in every environment.

all_results, all_qualities, all_manifests -> compare_with_paper -> comparison
comparison -> render_tables -> tables_html, tables_markdown, tables_latex, tables_csv
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.pipelines.comparison import nodes


def create_pipeline() -> Pipeline:
    """The comparison of everything that has been run."""
    products = ["all_results", "all_qualities", "all_manifests"]
    tables = ["tables_html", "tables_markdown", "tables_latex", "tables_csv"]
    return Pipeline(
        [
            Node(nodes.compare_with_paper, products, "comparison", name="compare_with_paper"),
            Node(nodes.render_tables, "comparison", tables, name="render_tables"),
        ]
    )
