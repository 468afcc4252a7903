"""The controlled form of the paper's Figure 3: the same images, labelled finely and coarsely."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from scaling_ood.records import METRICS
from scaling_ood.report.figures import IN_DIST_SET, styled
from scaling_ood.report.palette import CYCLE, GUIDE
from scaling_ood.report.tables import DASH, as_text, percent

LABELS = ("fine", "coarse")

_COLOURS = dict(zip(LABELS, CYCLE, strict=False))


@dataclass(frozen=True, eq=False)
class Granularity:
    """Results of a classifier of fine labels (species) and one of coarse labels (families) on the same images.

    Attributes:
        metrics: Columns `labels` (`fine` or `coarse`), `detector`, `ood_set`, `auroc`, `fpr95`, `aupr` (fractions;
            empty where there is a gap).
        dispersal: Columns `labels`, `image_set` (`test` or an OOD set) and `dispersal`: mean over the images of the
            family's probability minus the top class's, in [0, 1].

    Raises:
        ValueError: A column is missing or `labels` holds another value.
    """

    metrics: pd.DataFrame
    dispersal: pd.DataFrame

    def __post_init__(self) -> None:
        """Refuse tables that cannot be compared."""
        _check(self.metrics, ("labels", "detector", "ood_set", *METRICS))
        _check(self.dispersal, ("labels", "image_set", "dispersal"))


@dataclass(frozen=True)
class Comparison:
    """Per detector and OOD set, each metric under fine and coarse labels, as percentages; a dash for a gap."""

    ood_sets: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]
    """Detector to its cells: OOD sets, in each the three metrics, in each fine and coarse."""


def granularity_figure(granularity: Granularity) -> go.Figure:
    """AUROC under fine and under coarse labels: one panel per OOD set, one line per detector.

    Returns:
        A figure with one trace per OOD set and kind of labels.
    """
    frame = granularity.metrics
    sets, detectors = _distinct(frame["ood_set"]), _distinct(frame["detector"])
    figure = make_subplots(1, len(sets), shared_yaxes=True, subplot_titles=[escape(name) for name in sets])
    for column, ood_set in enumerate(sets, start=1):
        part = frame[frame["ood_set"] == ood_set]
        for labels in LABELS:
            values = part[part["labels"] == labels].drop_duplicates("detector").set_index("detector")["auroc"]
            figure.add_trace(_points(values.reindex(detectors), labels, first=column == 1), 1, column)
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


def mass_figure(granularity: Granularity) -> go.Figure:
    """Mean dispersal of each image set under fine and under coarse labels, as bars."""
    frame = granularity.dispersal
    sets = _distinct(frame["image_set"])
    figure = go.Figure()
    for labels in LABELS:
        part = frame[frame["labels"] == labels].drop_duplicates("image_set").set_index("image_set")["dispersal"]
        values = part.reindex(sets)
        figure.add_trace(
            go.Bar(
                x=["in-distribution" if name == IN_DIST_SET else escape(name) for name in sets],
                y=values.tolist(),
                name=f"{labels} labels",
                marker_color=_COLOURS[labels],
                text=[percent(value) if as_text(value) else "" for value in values],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{x}: %{y:.1%}<extra>" + labels + " labels</extra>",
            )
        )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", title_text="family mass minus top-1 mass")
    styled(figure, height=340, min_width=200 + 90 * len(sets))
    return figure.update_layout(barmode="group", bargap=0.45, bargroupgap=0.06, margin={"t": 56, "b": 34})


def comparison(granularity: Granularity) -> Comparison:
    """The metrics as a table to read.

    Returns:
        Detectors and OOD sets in the order of the table.
    """
    frame = granularity.metrics
    sets = _distinct(frame["ood_set"])
    found = {
        (as_text(row["detector"]), as_text(row["ood_set"]), metric, as_text(row["labels"])): row[metric]
        for _, row in frame.iterrows()
        for metric in METRICS
    }
    places = [(ood_set, metric, labels) for ood_set in sets for metric in METRICS for labels in LABELS]
    rows = {
        detector: tuple(_shown(found.get((detector, *place))) for place in places)
        for detector in _distinct(frame["detector"])
    }
    return Comparison(tuple(sets), rows)


def _check(frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    """Columns present, labels known."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ValueError(f"The comparison of fine and coarse labels lacks the columns {missing}.")
    unknown = set(frame["labels"]) - set(LABELS)
    if unknown:
        raise ValueError(f"labels must be one of {LABELS}, got {sorted(map(str, unknown))}.")


def _points(values: pd.Series[float], labels: str, *, first: bool) -> go.Scatter:
    """One marker per detector: filled for fine labels, open for coarse ones."""
    return go.Scatter(
        x=values.tolist(),
        y=[escape(str(name)) for name in values.index],
        name=f"{labels} labels",
        legendgroup=labels,
        showlegend=first,
        mode="markers",
        marker={"size": 10, "color": _COLOURS[labels], "symbol": "circle" if labels == LABELS[0] else "diamond"},
        hovertemplate="%{y}: AUROC %{x:.1%}<extra>" + labels + " labels</extra>",
    )


def _distinct(values: pd.Series[str]) -> list[str]:
    """Values in the order of their first appearance."""
    return list(dict.fromkeys(map(str, values)))


def _shown(value: object) -> str:
    """A percentage, or a dash."""
    return percent(float(as_text(value))) if as_text(value) else DASH
