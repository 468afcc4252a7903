"""Dot-and-interval plots of the results: what a reader looks at before the numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from scaling_ood.products.records import METRICS
from scaling_ood.report.figures import styled
from scaling_ood.report.palette import CYCLE, GUIDE
from scaling_ood.report.results import Results, arranged
from scaling_ood.report.table import Cell

_PANELS = {"auroc": "<b>AUROC</b>  better →", "aupr": "<b>AUPR</b>  better →", "fpr95": "<b>FPR95</b>  ← better"}
_ROW_PX, _TOP_PX, _BOTTOM_PX = 25, 132, 14
_MENU_PX = 88
"""From the panels up to the middle of menu and legend."""

_LEAST_SPAN = 2.0
_ROOM_FOR_TIES = 0.22
_STEPS = (1, 2, 5, 10, 20)


@dataclass(frozen=True)
class _Line:
    """One row of a figure: its label, metric to number and to what guessing reaches; of a mean, the sets tied."""

    label: str
    numbers: Mapping[str, Cell]
    chance: Mapping[str, float]
    ties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _View:
    """What one choice of the menu shows, from the top to the bottom."""

    name: str
    title: str
    lines: Sequence[_Line]


def interval_figure(results: Results) -> go.Figure | None:
    """Every detector as a dot with its 95 % interval, in one panel per metric; the best mean AUROC stands on top.

    A menu chooses the mean or one OOD set; the rows keep their order. A star marks what cannot be told from the best
    of its column; a mean, which is not tested, says on how many of its sets that is so. A table of a single detector
    shows its columns as rows instead.

    Returns:
        A figure whose `trace.meta` holds `view` and `metric`, or none if nothing was measured.
    """
    views = _views(results)
    if not views:
        return None
    figure = make_subplots(1, len(_PANELS), shared_yaxes=True, horizontal_spacing=0.035)
    for view in views:
        named = {""}
        for column, metric in enumerate(_PANELS, start=1):
            for trace in _traces(view.lines, metric):
                trace.update(meta={"view": view.name, "metric": metric}, visible=view is views[0])
                figure.add_trace(trace.update(legendgroup=trace.name, showlegend=trace.name not in named), 1, column)
                named.add(trace.name)
    labels = [line.label for line in views[0].lines]
    figure.update_xaxes(zeroline=False, side="top", automargin=False, title_standoff=4)
    figure.update_yaxes(
        categoryorder="array", categoryarray=labels, range=[len(labels) - 0.4, -0.6], automargin=True, ticks=""
    )
    styled(figure, height=_TOP_PX + _ROW_PX * len(labels) + _BOTTOM_PX, min_width=980)
    legend = {"x": 1, "xanchor": "right", "y": 1 - (_TOP_PX - _MENU_PX) / figure.layout.height, "yanchor": "middle"}
    figure.update_layout(_axes(views[0]), margin={"l": 20, "t": _TOP_PX, "b": _BOTTOM_PX}, legend=legend)
    return _with_menu(figure, views) if len(views) > 1 else _titled(figure, views[0])


def interval_figures(results: pd.DataFrame) -> dict[str, go.Figure]:
    """The figures of some results by file stem: `intervals`, and what tells a table from its sisters if there are any.

    Raises:
        ValueError: A public column is missing, or a detector has two rows in one place of a table.
    """
    drawn = {
        "_".join(["intervals", *(one.keys[key] for key in one.varying)]): interval_figure(one)
        for one in arranged(results)
    }
    return {stem: figure for stem, figure in drawn.items() if figure is not None}


def _views(results: Results) -> list[_View]:
    """A view per column with a line per detector, or of a single detector one view with a line per column."""
    rows = [row for row in results.by_auroc() if any(_there(cells) for cells in row.places)]
    # A mean over one set would repeat that set without its marks.
    places = [place for place, column in enumerate(results.columns) if len(column.mean_of) != 1]
    if len(rows) == 1:
        columns = [(results.columns[place], _there(rows[0].places[place])) for place in places]
        lines = [_Line(escape(column.ood_set), numbers, column.chance) for column, numbers in columns if numbers]
        return [_View(rows[0].detector, f"<b>{escape(rows[0].detector)}</b>", lines)]
    views = []
    for place in places:
        column, lines = results.columns[place], []
        for row in rows:
            counts = {metric: results.tied_sets(row, metric, column.mean_of) for metric in METRICS}
            ties = {metric: f"{tied}/{of}" for metric, (tied, of) in counts.items() if tied and column.is_mean}
            lines.append(_Line(escape(row.detector), _there(row.places[place]), column.chance, ties))
        if any(line.numbers for line in lines):
            title = ", ".join(filter(None, (f"<b>{escape(column.ood_set)}</b>", column.counted)))
            views.append(_View(column.ood_set, title, lines))
    return views


def _there(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """The numbers of one place without gaps."""
    return {metric: cell for metric, cell in cells.items() if cell.value is not None}


def _traces(lines: Sequence[_Line], metric: str) -> list[go.Scatter]:
    """Ticks where guessing lies, dots, stars, and counts of ties on the right; only those that are there."""
    there = [line for line in lines if metric in line.numbers]
    guesses = [line for line in there if metric in line.chance]
    counted = [line for line in there if metric in line.ties]
    plain = [line for line in there if not line.numbers[metric].tied]
    stars = [line for line in there if line.numbers[metric].tied]
    guessing = go.Scatter(
        x=[line.chance[metric] for line in guesses],
        y=[line.label for line in guesses],
        name="guessing",
        mode="markers",
        marker={"symbol": "line-ns", "size": 13, "line": {"color": GUIDE, "width": 1}},
        hovertemplate="guessing: %{x:.1f} %<extra></extra>",
    )
    ties = go.Scatter(
        x=[_range(there, metric)[1]] * len(counted),
        y=[line.label for line in counted],
        text=[f"★ {line.ties[metric]} " for line in counted],
        name="",
        mode="text",
        textposition="middle left",
        textfont={"color": CYCLE[2], "size": 11},
        hovertemplate="OOD sets on which it cannot be told from the best<extra></extra>",
    )
    dots = _dots(plain, metric, "value with 95 % interval", {"symbol": "circle", "size": 9, "color": CYCLE[0]})
    best = _dots(stars, metric, "cannot be told from the best", {"symbol": "star", "size": 13, "color": CYCLE[2]})
    drawn = ((guessing, guesses), (dots, plain), (best, stars), (ties, counted))
    return [trace for trace, some in drawn if some]


def _dots(lines: Sequence[_Line], metric: str, name: str, marker: dict[str, Any]) -> go.Scatter:
    """Values of one mark with their intervals; those without one are bare."""
    cells = [line.numbers[metric] for line in lines]
    reaches = [cell.reach for cell in cells if cell.reach]
    return go.Scatter(
        x=[value for _, value, _ in reaches],
        y=[line.label for line in lines],
        name=name,
        mode="markers",
        marker=marker,
        error_x={
            "array": [high - value for _, value, high in reaches],
            "arrayminus": [value - low for low, value, _ in reaches],
            "color": marker["color"],
            "thickness": 2,
            "width": 0,
        },
        text=[f"{cell.text} %" + (f" [{', '.join(cell.bounds)}]" if cell.bounds else "") for cell in cells],
        hovertemplate="<b>%{y}</b><br>%{text}<extra></extra>",
    )


def _axes(view: _View) -> dict[str, Any]:
    """Range and title of each panel."""
    found: dict[str, Any] = {}
    for number, (metric, title) in enumerate(_PANELS.items(), start=1):
        chances = {line.chance.get(metric) for line in view.lines}
        only = chances.pop() if len(chances) == 1 else None
        guessing = " " if only is None else f"guessing: {Cell(only).text} %"
        axis = f"xaxis{number if number > 1 else ''}"
        there = [line for line in view.lines if metric in line.numbers]
        low, high = _range(there, metric)
        ticks = _ticks(low, high)
        found |= {
            f"{axis}.range": [low, high],
            f"{axis}.tickvals": ticks,
            f"{axis}.ticktext": [f"{tick}%" for tick in ticks],
            f"{axis}.title.text": f"{title}<br>{guessing}",
        }
    return found


def _range(lines: Sequence[_Line], metric: str) -> list[float]:
    """All dots and intervals, guessing where that does not more than double the span, and room for the ties."""
    ends = [end for line in lines for end in line.numbers[metric].reach or ()] or [0.0, 100.0]
    low, high = min(ends), max(ends)
    span = max(high - low, _LEAST_SPAN)
    for chance in {line.chance[metric] for line in lines if metric in line.chance}:
        if low - span <= chance <= high + span:
            low, high = min(low, chance), max(high, chance)
    span = max(high - low, _LEAST_SPAN)
    return [low - 0.05 * span, high + (_ROOM_FOR_TIES if any(metric in line.ties for line in lines) else 0.05) * span]


def _ticks(low: float, high: float) -> list[int]:
    """Round values in view, at most seven and none outside [0, 100]."""
    step = next((step for step in _STEPS if high - low <= 6 * step), _STEPS[-1])
    first, last = math.ceil(max(low, 0) / step), math.floor(min(high, 100) / step)
    return [step * count for count in range(first, last + 1)]


def _titled(figure: go.Figure, view: _View) -> go.Figure:
    """What the figure is about, where others have their menu."""
    place = {"x": 0, "xanchor": "left", "xref": "paper", "y": 1, "yanchor": "middle", "yref": "paper"}
    return figure.add_annotation(text=view.title, showarrow=False, font_size=14, yshift=_MENU_PX, **place)


def _with_menu(figure: go.Figure, views: Sequence[_View]) -> go.Figure:
    """A menu that shows the traces of one view and fits the axes to them."""
    buttons = []
    for view in views:
        visible = [trace.meta["view"] == view.name for trace in figure.data]
        buttons.append({"label": view.title, "method": "update", "args": [{"visible": visible}, _axes(view)]})
    height = 1 + _MENU_PX / (_ROW_PX * len(views[0].lines))
    place = {"x": 0, "xanchor": "left", "y": height, "yanchor": "middle", "pad": {"l": 0, "r": 0}}
    return figure.update_layout(updatemenus=[{"buttons": buttons, "showactive": True, **place}])
