"""The paper's tables, regenerated: its number, ours and the difference. Only these files know a setting by its name."""

from scaling_ood.report.paper.comparing import COMPARISON_COLUMNS, compare, typed
from scaling_ood.report.paper.layout import paper_table, paper_tables
from scaling_ood.report.paper.page import render_page
from scaling_ood.report.paper.published import QUANTITIES, TABLES, counterpart_of, places_of, published_numbers

__all__ = [
    "COMPARISON_COLUMNS",
    "QUANTITIES",
    "TABLES",
    "compare",
    "counterpart_of",
    "paper_table",
    "paper_tables",
    "places_of",
    "published_numbers",
    "render_page",
    "typed",
]
