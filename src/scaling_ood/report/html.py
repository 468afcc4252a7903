"""One self-contained HTML page per benchmark and setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import plotly.offline
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scaling_ood.records import METRICS
from scaling_ood.report.embedding import Embedded, Illustration, embed
from scaling_ood.report.granularity import Comparison, Granularity, comparison, granularity_figure, mass_figure
from scaling_ood.report.intervals import interval_figure
from scaling_ood.report.tables import (
    DASH,
    Number,
    ResultsTable,
    Row,
    as_text,
    infinite_scores,
    leading,
    percent,
    results_tables,
    tied_sets,
)

METRIC_TITLES = {"fpr95": "FPR95↓", "auroc": "AUROC↑", "aupr": "AUPR↑"}

CLASS_WORDS = {"ood": "OOD", "in_dist": "in-distribution"}
"""How a positive class is called in prose."""

_KEY_WORDS = {
    "in_dist": "in-distribution",
    "positive_class": "positive class",
    "fpr_rule": "FPR rule",
    "labels": "labels",
}


@dataclass(frozen=True, eq=False)
class ReportContent:
    """All that a report shows.

    Attributes:
        benchmark: Its id.
        setting: `multi_class`, `multi_label` or `segmentation`.
        results: The results table, `RESULT_COLUMNS`.
        facts: Section (data, model, ...) to what was measured and how: label to value.
        caveats: What a reader must know before the numbers; shown first.
        figures: Title to figure with caption, in their order.
        gaps: Detector to the reason why it has no number.
        granularity: The comparison of fine and coarse labels, if the benchmark makes it.
        tie_level: Level of the tests behind the marks of ties, in (0, 1).
    """

    benchmark: str
    setting: str
    results: pd.DataFrame
    facts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    caveats: Sequence[str] = ()
    figures: Mapping[str, Illustration] = field(default_factory=dict)
    gaps: Mapping[str, str] = field(default_factory=dict)
    granularity: Granularity | None = None
    tie_level: float = 0.05


def render_report(content: ReportContent) -> str:
    """The report as one HTML file that opens without a network.

    Raises:
        ValueError: The results lack a public column, or have two rows in one place of a table.
        TypeError: A figure is neither Plotly nor Matplotlib.
    """
    tables = results_tables(content.results, content.gaps)
    overviews = [_overview(table, n) for n, table in enumerate(tables, start=1)]
    figures = [embed(title, shown, f"figure-{n}") for n, (title, shown) in enumerate(content.figures.items(), start=1)]
    controlled = None if content.granularity is None else _controlled(content.granularity)
    return (
        _environment()
        .get_template("report.html")
        .render(
            content=content,
            tables=list(zip(tables, overviews, strict=True)),
            caveats=[*content.caveats, *infinite_scores(content.results)],
            headline=_headline(content.results),
            gaps=_gaps(tables, content.gaps),
            figures=figures,
            controlled=controlled,
            metrics=METRIC_TITLES,
            # Plotly's own file never holds "</script"; it is the one part of the page that is not escaped.
            plotly_js=Markup(plotly.offline.get_plotlyjs())
            if _interactive([*filter(None, overviews), *figures], controlled)
            else "",
        )
    )


def _environment() -> Environment:
    """Jinja with everything escaped and no undefined names."""
    environment = Environment(
        loader=PackageLoader("scaling_ood.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, fact=_fact, class_words=lambda name: CLASS_WORDS.get(name, name))
    environment.globals.update(table_title=_table_title, lead=_lead, tied_sets=tied_sets, key_line=_key_line)
    return environment


def _overview(table: ResultsTable, number: int) -> Embedded | None:
    """The dot-and-interval plot above a table; none where nothing was measured."""
    figure = interval_figure(table)
    if figure is None:
        return None
    told = "Each value with its 95 % interval."
    if sum(not row.gap for row in table.rows) > 1:
        order = table.columns[leading(table)].ood_set
        told += (
            f" Rows stand in the order of their AUROC ({order}). All detectors score the same images, so two whose "
            "lines overlap may still differ: a star marks what cannot be told from the best, and beside a mean counts "
            "the OOD sets on which that is so."
        )
    absent = _gaps([replace(table, varying=())], {})
    told += f" No number: {', '.join(absent)}; the reasons stand under the tables." if absent else ""
    return embed("95 % intervals", Illustration(figure, told), f"intervals-{number}")


@dataclass(frozen=True)
class _Controlled:
    """The section on fine and coarse labels."""

    figures: tuple[Embedded, ...]
    table: Comparison


def _controlled(granularity: Granularity) -> _Controlled:
    """Both figures and the table."""
    auroc = Illustration(
        granularity_figure(granularity),
        "AUROC of each detector, in one panel per OOD set. The length of a line is what the granularity of the labels "
        "costs or brings; the images are the same.",
    )
    mass = Illustration(
        mass_figure(granularity),
        "Probability of the family minus that of its top class, mean over the images of each set: the mass that a "
        "confidence score does not see.",
    )
    shown = (
        embed("AUROC by granularity", auroc, "granularity-auroc"),
        embed("Probability outside the top class", mass, "granularity-mass"),
    )
    return _Controlled(shown, comparison(granularity))


def _interactive(figures: Sequence[Embedded], controlled: _Controlled | None) -> bool:
    """Whether the page needs Plotly."""
    return any(figure.data for figure in [*figures, *(controlled.figures if controlled else ())])


def _headline(results: pd.DataFrame) -> dict[str, str]:
    """What the page is about, in a few figures; what the results do not say is left out."""
    frame = results.reindex(columns=[*results.columns.union(["seeds", "model", "mean_of"], sort=False)])
    is_set = (frame["mean_of"].map(as_text) == "") & ~frame["ood_set"].map(as_text).str.startswith("mean")
    stated = {
        "in-distribution": ", ".join(_distinct(frame["in_dist"])),
        "model": ", ".join(_distinct(frame["model"])),
        "OOD sets": str(len(_distinct(frame["ood_set"][is_set]))),
        "detectors": str(len(_distinct(frame["detector"]))),
        "seeds": ", ".join(str(int(float(seeds))) for seeds in _distinct(frame["seeds"])),
    }
    return {name: value for name, value in stated.items() if value}


def _distinct(values: pd.Series[Any]) -> list[str]:
    """Values that are there, in the order of their first appearance."""
    return [value for value in dict.fromkeys(map(as_text, values)) if value]


def _table_title(table: ResultsTable) -> str:
    """What tells a table from its sisters."""
    return ", ".join(f"{_KEY_WORDS.get(key, key)}: {_value_words(key, table.keys[key])}" for key in table.varying)


def _key_line(table: ResultsTable) -> dict[str, str]:
    """The conventions behind a table's numbers."""
    wanted = ("positive_class", "aggregation", "fpr_rule", "labels")
    return {_KEY_WORDS.get(key, key): _value_words(key, table.keys[key]) for key in wanted if table.keys[key]}


def _value_words(key: str, value: str) -> str:
    """A key's value as it is called in prose."""
    return CLASS_WORDS.get(value, value) if key == "positive_class" else value or "not stated"


def _lead(table: ResultsTable) -> list[dict[str, str]]:
    """Best detectors of the first column by each metric, for the sentence above a table; ties are not tested there."""
    if not table.columns:
        return []
    found = []
    for metric in METRICS:
        reached = [(row, row.entries[0].numbers[metric]) for row in table.rows if _has(row, metric)]
        if reached:
            row, number = (min if metric == "fpr95" else max)(reached, key=_value)
            found.append({"metric": METRIC_TITLES[metric], "detector": row.detector, "value": percent(number.value)})
    return found


def _has(row: Row, metric: str) -> bool:
    """Whether a detector has a number in the first column."""
    return bool(row.entries) and metric in row.entries[0].numbers


def _value(reached: tuple[Row, Number]) -> float:
    """What to compare by."""
    return reached[1].value


def _gaps(tables: Sequence[ResultsTable], named: Mapping[str, str]) -> dict[str, str]:
    """Every detector, or detector and place, without a number, and why."""
    gaps = dict(named)
    for table in tables:
        where = f" ({_table_title(table)})" if table.varying else ""
        for row in table.rows:
            if row.gap and row.detector not in named:
                gaps[row.detector + where] = row.gap
            if not row.gap:
                for column, entry in zip(table.columns, row.entries, strict=True):
                    if entry.gap and not column.is_mean:
                        gaps[f"{row.detector} on {column.ood_set}{where}"] = entry.gap
    return gaps


def _fact(value: object) -> str:
    """A value of a fact: whole numbers grouped, fractions short, lists joined."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: DASH}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_fact(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_fact(part) for part in value)
    return str(value)
