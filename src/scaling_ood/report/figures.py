"""Interactive figures of the scores: ROC curves, and in-distribution against OOD densities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from scaling_ood.metrics import detection_metrics, roc_curve_points
from scaling_ood.report.densities import Densities, score_densities
from scaling_ood.report.palette import GUIDE, IN_DIST, OOD, line_style

IN_DIST_SET = "test"
"""The `image_set` of in-distribution test images."""

RECALL = 0.95

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_ROC_COLUMNS = 3
_TOP_PX, _BUTTONS_PX = 88, 24
"""From the panels up to the edge; from there down to the legend, so that it lies under the buttons."""
_LINE_PX, _ENTRY_PX, _LETTER_PX = 23, 50, 7
"""Height of a line of the legend; width of an entry without its name; and that of a letter."""


def roc_figure(
    scores: Mapping[str, pd.DataFrame], ood_sets: Sequence[str], *, positive_class: str = "ood"
) -> go.Figure:
    """ROC curves: one panel per OOD set, one curve per detector, the 95 % recall line marked.

    Args:
        scores: Detector to its scores under one classifier (one seed, one kind of targets): columns `image_set` (`test`
            is in-distribution, otherwise an OOD set's name) and `score` (higher = more anomalous). A detector without
            scores of a set has no curve there.
        ood_sets: The panels, in their order.
        positive_class: `ood` or `in_dist`, whose recall is drawn.

    Returns:
        A figure with one trace per curve. Each point is exact; `trace.meta` holds `detector`, `ood_set` and `auroc`.

    Raises:
        ValueError: There is nothing to draw, a column is missing or the positive class is unknown.
        NonFiniteScoreError: Some scores are NaN.
    """
    _check(scores, ood_sets)
    if positive_class not in ("ood", "in_dist"):
        raise ValueError(f"positive_class must be 'ood' or 'in_dist', got {positive_class!r}.")
    columns = min(_ROC_COLUMNS, len(ood_sets))
    rows = -(-len(ood_sets) // columns)
    negative, positive = ("in-distribution", "OOD") if positive_class == "ood" else ("OOD", "in-distribution")
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[escape(name) for name in ood_sets],
        x_title=f"false-positive rate: share of {negative} images taken for {positive}",
        y_title=f"recall of {positive} (dashed: {RECALL:.0%})",
        horizontal_spacing=0.06,
        vertical_spacing=min(0.1, 0.3 / rows),
    )
    for index, (detector, frame) in enumerate(scores.items()):
        shown = False
        for panel, ood_set in enumerate(ood_sets):
            trace = _roc_trace(frame, detector, ood_set, positive_class)
            if trace is not None:
                trace.update(line={**line_style(index), "width": 2}, showlegend=not shown)
                figure.add_trace(trace, panel // columns + 1, panel % columns + 1)
                shown = True
    _draw_roc_guides(figure, len(ood_sets), columns)
    return styled(figure, height=110 + 290 * rows, min_width=260 * columns)


def histogram_figure(scores: Mapping[str, pd.DataFrame], ood_sets: Sequence[str], *, bins: int = 30) -> go.Figure:
    """Densities of in-distribution and OOD scores: one row per detector, one column per OOD set.

    The two densities of a panel share their axis, which leaves out extreme scores (see `score_densities`); the hover
    says how many that are. Only the bins are stored.

    Args:
        scores: As in `roc_figure`.
        ood_sets: The columns, in their order.
        bins: Number of bins per panel.

    Raises:
        ValueError: There is nothing to draw, a column is missing or a set has no finite score.
    """
    _check(scores, ood_sets)
    figure = make_subplots(
        len(scores),
        len(ood_sets),
        column_titles=[escape(name) for name in ood_sets],
        x_title="anomaly score (higher = more anomalous; every panel has its own scale)",
        horizontal_spacing=min(0.02, 0.2 / len(ood_sets)),
        vertical_spacing=min(0.08, 0.4 / len(scores)),
    )
    first = True
    for row, (detector, frame) in enumerate(scores.items(), start=1):
        figure.update_yaxes(title_text=escape(detector), row=row, col=1)
        for column, ood_set in enumerate(ood_sets, start=1):
            in_dist, ood = _values(frame, IN_DIST_SET), _values(frame, ood_set)
            if in_dist.size and ood.size:
                for trace in _density_traces(score_densities(in_dist, ood, bins), detector, ood_set):
                    figure.add_trace(trace.update(showlegend=first), row, column)
                first = False
    figure.update_yaxes(showticklabels=False, rangemode="tozero", showgrid=False, zeroline=False)
    figure.update_xaxes(nticks=4, showgrid=False, zeroline=False, tickfont_size=10, showline=True)
    return styled(figure, height=130 + 125 * len(scores), min_width=60 + 150 * len(ood_sets))


def _check(scores: Mapping[str, pd.DataFrame], ood_sets: Sequence[str]) -> None:
    """Refuse what cannot be drawn."""
    if not scores or not ood_sets:
        raise ValueError(f"A figure needs detectors and OOD sets, got {list(scores)} and {list(ood_sets)}.")
    for detector, frame in scores.items():
        missing = {"image_set", "score"} - set(frame.columns)
        if missing:
            raise ValueError(f"The scores of {detector!r} lack the columns {sorted(missing)}.")


def _values(frame: pd.DataFrame, image_set: str) -> NDArray[np.float64]:
    """Scores of one image set, `(n,)`."""
    return frame.loc[frame["image_set"] == image_set, "score"].to_numpy(dtype=np.float64)


def _roc_trace(frame: pd.DataFrame, detector: str, ood_set: str, positive_class: str) -> go.Scatter | None:
    """One curve; none if either class has no scores."""
    in_dist, ood = _values(frame, IN_DIST_SET), _values(frame, ood_set)
    if not in_dist.size or not ood.size:
        return None
    score = np.concatenate([in_dist, ood])
    is_ood = np.arange(score.size) >= in_dist.size
    auroc = detection_metrics(score, is_ood).auroc
    # The other class is found by the reversed score.
    curve = roc_curve_points(score, is_ood) if positive_class == "ood" else roc_curve_points(-score, ~is_ood)
    return go.Scatter(
        x=curve.fpr.round(6),
        y=curve.tpr.round(6),
        name=escape(detector),
        legendgroup=detector,
        mode="lines",
        meta={"detector": detector, "ood_set": ood_set, "auroc": auroc},
        hovertemplate=f"<b>{escape(detector)}</b><br>AUROC {auroc:.1%}<br>"
        "recall %{y:.1%} at false-positive rate %{x:.1%}<extra></extra>",
    )


def _draw_roc_guides(figure: go.Figure, panels: int, columns: int) -> None:
    """Chance, the recall of FPR95, and equal axes in every panel."""
    for panel in range(panels):
        place = {"row": panel // columns + 1, "col": panel % columns + 1}
        figure.add_shape(x0=0, y0=0, x1=1, y1=1, type="line", line={"color": GUIDE, "width": 1, "dash": "dot"}, **place)
        figure.add_shape(
            x0=0, y0=RECALL, x1=1, y1=RECALL, type="line", line={"color": GUIDE, "width": 1.2, "dash": "dash"}, **place
        )
    figure.update_xaxes(range=[-0.01, 1.01], tickformat=".0%", dtick=0.25, showgrid=False)
    figure.update_yaxes(range=[-0.01, 1.02], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, RECALL], showgrid=False)


def _density_traces(densities: Densities, detector: str, ood_set: str) -> list[go.Scatter]:
    """In-distribution and OOD as filled steps."""
    edges = np.array([float(f"{edge:.6g}") for edge in densities.edges])
    sides = (
        ("in-distribution", IN_DIST, densities.in_dist, densities.outside[0]),
        ("OOD", OOD, densities.ood, densities.outside[1]),
    )
    return [
        go.Scatter(
            x=edges,
            y=[float(f"{value:.4g}") for value in (*density, density[-1])],
            name=name,
            legendgroup=name,
            mode="lines",
            line={"shape": "hv", "width": 1.2, "color": colour},
            fill="tozeroy",
            fillcolor=_translucent(colour),
            meta={"detector": detector, "ood_set": ood_set, "outside": outside},
            hovertemplate=f"<b>{name}</b> ({escape(detector)}, {escape(ood_set)})<br>score from %{{x:.4g}}<br>"
            f"density %{{y:.3g}}<br>{outside:.1%} outside the view<extra></extra>",
        )
        for name, colour, density, outside in sides
    ]


def _translucent(colour: str) -> str:
    """A hexadecimal colour as rgba, see-through."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.28)"


def styled(figure: go.Figure, *, height: int, min_width: int) -> go.Figure:
    """The look of all figures; `layout.meta.min_width` is the narrowest readable width in pixels."""
    figure.update_annotations(selector={"showarrow": False, "yref": "paper"}, font_size=13)
    named = {trace.name or "" for trace in figure.data if trace.showlegend}
    lines = max(1, math.ceil(sum(_ENTRY_PX + _LETTER_PX * len(name) for name in named) / min_width))
    more = _LINE_PX * (lines - 1)
    below_the_buttons = 1 - _BUTTONS_PX / (height + more)
    return figure.update_layout(
        template="plotly_white",
        height=height + more,
        font={"family": _FONT, "size": 12},
        margin={"l": 70, "r": 16, "t": _TOP_PX + more, "b": 64},
        legend={
            "orientation": "h",
            "x": 0,
            "y": below_the_buttons,
            "yref": "container",
            "yanchor": "top",
            "xanchor": "left",
        },
        hoverlabel={"font": {"family": _FONT}, "align": "left"},
        meta={"min_width": min_width},
    )
