"""What reporting shows: tables in; figures, a page and a text out. Nothing here reads or writes a file."""

from scaling_ood.report.dispersal import Example, dispersal_figure
from scaling_ood.report.embedding import Illustration
from scaling_ood.report.figures import histogram_figure, roc_figure
from scaling_ood.report.granularity import Granularity, granularity_figure, mass_figure
from scaling_ood.report.html import ReportContent, render_report
from scaling_ood.report.intervals import interval_figures
from scaling_ood.report.maps import SceneExample, scene_figure
from scaling_ood.report.text import in_encoding, results_text

__all__ = [
    "Example",
    "Granularity",
    "Illustration",
    "ReportContent",
    "SceneExample",
    "dispersal_figure",
    "granularity_figure",
    "histogram_figure",
    "in_encoding",
    "interval_figures",
    "mass_figure",
    "render_report",
    "results_text",
    "roc_figure",
    "scene_figure",
]
