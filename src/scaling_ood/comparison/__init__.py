"""The paper's tables, regenerated: its number, ours and the difference. No Kedro; nothing here reads a run's files."""

from scaling_ood.comparison.comparing import COMPARISON_COLUMNS, compare, typed
from scaling_ood.comparison.counterparts import Counterpart, counterpart_of, counterparts
from scaling_ood.comparison.csv_text import render_csv
from scaling_ood.comparison.facts import FACT_COLUMNS, Place, gather_facts
from scaling_ood.comparison.footnotes import Footnote, footnotes
from scaling_ood.comparison.grid import PaperTable
from scaling_ood.comparison.html import render_page
from scaling_ood.comparison.latex import render_latex
from scaling_ood.comparison.laying_out import paper_table
from scaling_ood.comparison.markdown import render_markdown
from scaling_ood.comparison.published import QUANTITIES, TABLES, PublishedNumber, parse_published, published_numbers
from scaling_ood.comparison.sources import BenchmarkState, states_of

__all__ = [
    "COMPARISON_COLUMNS",
    "FACT_COLUMNS",
    "QUANTITIES",
    "TABLES",
    "BenchmarkState",
    "Counterpart",
    "Footnote",
    "PaperTable",
    "Place",
    "PublishedNumber",
    "compare",
    "counterpart_of",
    "counterparts",
    "footnotes",
    "gather_facts",
    "paper_table",
    "parse_published",
    "published_numbers",
    "render_csv",
    "render_latex",
    "render_markdown",
    "render_page",
    "states_of",
    "typed",
]
