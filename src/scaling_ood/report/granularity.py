"""The controlled form of the paper's Figure 3: the same images, their classes fine and coarse."""

from __future__ import annotations

from html import escape

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from scaling_ood.products.records import METRICS
from scaling_ood.report.figures import IN_DIST_SET, styled
from scaling_ood.report.palette import CYCLE, GUIDE
from scaling_ood.report.results import METRIC_TITLES, as_text, distinct_texts
from scaling_ood.report.table import Block, Cell, Heading, Line, Table, headings

TARGETS = {"classes": "fine", "coarse": "coarse"}
"""What a network was trained on, and how its classes are called."""

_COLOURS = dict(zip(TARGETS, CYCLE, strict=False))


def granularity_figure(metrics: pd.DataFrame) -> go.Figure:
    """AUROC with fine and with coarse classes: one panel per OOD set, one line per detector.

    Args:
        metrics: Columns `targets` (`classes` or `coarse`), `detector` (one name under both), `ood_set`, and `fpr95`,
            `auroc`, `aupr` (fractions; empty where there is a gap).

    Returns:
        A figure with one trace per OOD set and kind of targets.
    """
    sets, detectors = distinct_texts(metrics["ood_set"]), distinct_texts(metrics["detector"])
    figure = make_subplots(1, len(sets), shared_yaxes=True, subplot_titles=[escape(name) for name in sets])
    for column, ood_set in enumerate(sets, start=1):
        part = metrics[metrics["ood_set"] == ood_set]
        for targets in TARGETS:
            values = part[part["targets"] == targets].drop_duplicates("detector").set_index("detector")["auroc"]
            figure.add_trace(_points(values.reindex(detectors), targets, first=column == 1), 1, column)
        for detector, spread in part.groupby("detector")["auroc"]:
            name = escape(str(detector))
            figure.add_shape(
                type="line", x0=spread.min(), x1=spread.max(), y0=name, y1=name, layer="below",
                line={"color": GUIDE, "width": 2}, row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", nticks=5)
    figure.update_yaxes(autorange="reversed")
    styled(figure, height=110 + 34 * len(detectors), min_width=140 + 190 * len(sets))
    return figure.update_layout(margin={"l": 110, "b": 34})


def mass_figure(dispersal: pd.DataFrame) -> go.Figure:
    """Mean dispersal of each image set with fine and with coarse classes, as bars.

    Args:
        dispersal: Columns `targets`, `image_set` (`test` or an OOD set) and `dispersal`: mean over the images of the
            family's probability minus the top class's, in [0, 1].
    """
    sets = distinct_texts(dispersal["image_set"])
    figure = go.Figure()
    for targets, word in TARGETS.items():
        part = dispersal[dispersal["targets"] == targets].drop_duplicates("image_set")
        values = part.set_index("image_set")["dispersal"].reindex(sets)
        figure.add_trace(
            go.Bar(
                x=["in-distribution" if name == IN_DIST_SET else escape(name) for name in sets],
                y=values.tolist(),
                name=f"{word} classes",
                marker_color=_COLOURS[targets],
                text=["" if pd.isna(value) else Cell(100 * value).text for value in values],
                textposition="outside",
                cliponaxis=False,
                hovertemplate=f"%{{x}}: %{{y:.1%}}<extra>{word} classes</extra>",
            )
        )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", title_text="family mass minus top-1 mass")
    styled(figure, height=340, min_width=200 + 90 * len(sets))
    return figure.update_layout(barmode="group", bargap=0.45, bargroupgap=0.06, margin={"t": 56, "b": 34})


def granularity_table(metrics: pd.DataFrame) -> Table:
    """Detectors by OOD sets, metrics, and fine and coarse classes.

    Args:
        metrics: As in `granularity_figure`.
    """
    found = {
        (as_text(row["detector"]), as_text(row["ood_set"]), METRIC_TITLES[metric], TARGETS[row["targets"]]): Cell(
            100 * row[metric]
        )
        for row in metrics.to_dict("records")
        for metric in METRICS
        if as_text(row[metric])
    }
    sets, words = distinct_texts(metrics["ood_set"]), TARGETS.values()
    columns = [(ood_set, title, word) for ood_set in sets for title in METRIC_TITLES.values() for word in words]
    lines = tuple(
        Line((Heading(detector),), tuple(found.get((detector, *column), Cell()) for column in columns))
        for detector in distinct_texts(metrics["detector"])
    )
    about = "the same images, labelled twice"
    return Table("granularity", "Fine and coarse classes", about, ("detector",), headings(columns), (Block(lines),))


def _points(values: pd.Series[float], targets: str, *, first: bool) -> go.Scatter:
    """One marker per detector: a circle for fine classes, a diamond for coarse ones."""
    word = TARGETS[targets]
    return go.Scatter(
        x=values.tolist(),
        y=[escape(str(name)) for name in values.index],
        name=f"{word} classes",
        legendgroup=targets,
        showlegend=first,
        mode="markers",
        marker={"size": 10, "color": _COLOURS[targets], "symbol": "circle" if targets == "classes" else "diamond"},
        hovertemplate=f"%{{y}}: AUROC %{{x:.1%}}<extra>{word} classes</extra>",
    )
