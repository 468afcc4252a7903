"""What reporting shows: tables in; figures, pages and texts out. Nothing here reads or writes a file.

Every table is a `Table`; `csv_text`, `latex_text`, `markdown_text` and `table_text` write it, and pages show it.
"""

from scaling_ood.report.csv_text import csv_text
from scaling_ood.report.dispersal import Example, dispersal_figure
from scaling_ood.report.embedding import Illustration
from scaling_ood.report.figures import histogram_figure, roc_figure
from scaling_ood.report.granularity import granularity_figure, granularity_table, mass_figure
from scaling_ood.report.intervals import interval_figures
from scaling_ood.report.latex import latex_text
from scaling_ood.report.maps import SceneExample, scene_figure
from scaling_ood.report.markdown import markdown_text
from scaling_ood.report.page import render_report
from scaling_ood.report.results import arranged, results_table
from scaling_ood.report.table import Table
from scaling_ood.report.text import in_encoding, results_text, table_text

__all__ = [
    "Example",
    "Illustration",
    "SceneExample",
    "Table",
    "arranged",
    "csv_text",
    "dispersal_figure",
    "granularity_figure",
    "granularity_table",
    "histogram_figure",
    "in_encoding",
    "interval_figures",
    "latex_text",
    "markdown_text",
    "mass_figure",
    "render_report",
    "results_table",
    "results_text",
    "roc_figure",
    "scene_figure",
    "table_text",
]
