"""Curves and histograms of the scores of whole images; those of the first seed stand for all."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.preparation import Preparation, TrainedModel
from scaling_ood.report import Illustration, histogram_figure, interval_figures, roc_figure
from scaling_ood.scores import Scores


def score_figures(
    scores: Sequence[Scores], prepared: Preparation, spec: TrainedModel, reporting: ReportingSpec
) -> dict[str, go.Figure]:
    """`roc` and `scores` of these detectors, without those that are gaps."""
    frames = {one.detector: one.first(spec) for one in scores if spec.labels[0] not in one.gaps}
    return {
        "roc": roc_figure(frames, prepared.ood, positive_class=reporting.positive_classes[0]),
        "scores": histogram_figure(frames, prepared.ood),
    }


def detector_figures(
    scores: Scores, results: pd.DataFrame, prepared: Preparation, spec: TrainedModel, reporting: ReportingSpec
) -> dict[str, go.Figure]:
    """What the run of one detector shows; nothing where it is a gap."""
    if spec.labels[0] in scores.gaps:
        return {}
    return {**interval_figures(results), **score_figures([scores], prepared, spec, reporting)}


def score_illustrations(roc_curves: go.Figure, score_histograms: go.Figure) -> dict[str, Illustration]:
    """The two as the report shows them."""
    return {
        "ROC curves": Illustration(roc_curves, "Exact curves; the dashed line is 95 % recall."),
        "Scores": Illustration(
            score_histograms, "In-distribution test images against each OOD set; higher = more anomalous."
        ),
    }
