"""Curves and histograms of the scores of whole images; those of the first seed stand for all."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.products.preparation import Preparation
from scaling_ood.products.scores import Scores
from scaling_ood.report import Illustration, histogram_figure, roc_figure


def score_figures(scores: Sequence[Scores], prepared: Preparation, reporting: ReportingSpec) -> dict[str, go.Figure]:
    """`roc_curves` and `score_histograms` of these detectors, without those that are gaps."""
    frames = {one.detector: one.first() for one in scores if not one.gap}
    return {
        "roc_curves": roc_figure(frames, prepared.ood, positive_class=reporting.positive_classes[0]),
        "score_histograms": histogram_figure(frames, prepared.ood),
    }


def score_illustrations(figures: dict[str, go.Figure]) -> dict[str, Illustration]:
    """The two as the report shows them."""
    return {
        "ROC curves": Illustration(figures["roc_curves"], "Exact curves; the dashed line is 95 % recall."),
        "Scores": Illustration(
            figures["score_histograms"],
            "In-distribution test images against each OOD set; higher = more anomalous.",
        ),
    }
