"""One self-contained HTML page per benchmark and setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from markupsafe import Markup

from scaling_ood.products.records import METRICS, RESULT_COLUMNS
from scaling_ood.report.embedding import Illustration
from scaling_ood.report.granularity import granularity_figure, granularity_table, mass_figure
from scaling_ood.report.html import page
from scaling_ood.report.intervals import interval_figure
from scaling_ood.report.results import (
    METRIC_TITLES,
    Results,
    arranged,
    as_text,
    distinct_texts,
    infinite_scores,
    results_table,
)
from scaling_ood.report.table import DASH


def render_report(
    benchmark: str,
    setting: str,
    results: pd.DataFrame,
    *,
    facts: Mapping[str, Mapping[str, object]] | None = None,
    caveats: Sequence[str] = (),
    figures: Mapping[str, Illustration] | None = None,
    granularity: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    tie_level: float = 0.05,
) -> str:
    """The report as one HTML file that opens without a network.

    Args:
        benchmark: Its id.
        setting: Its name.
        results: The results table, `RESULT_COLUMNS`.
        facts: Section (data, model, ...) to what was measured and how: label to value.
        caveats: What a reader must know before the numbers; shown first.
        figures: Title to figure with caption, in their order.
        granularity: Metrics and dispersal with fine and with coarse classes, as `granularity_figure` and `mass_figure`
            take them, if the benchmark compares these.
        tie_level: Level of the tests behind the marks of ties, in (0, 1).

    Raises:
        ValueError: The results lack a public column, or have two rows in one place of a table.
        TypeError: A figure is neither Plotly nor Matplotlib.
    """
    shown = arranged(results)
    overviews = [_overview(one) for one in shown]
    metrics, dispersal = granularity or (None, None)
    auroc = None if metrics is None else Illustration(granularity_figure(metrics))
    mass = None if dispersal is None else Illustration(mass_figure(dispersal))
    drawn = filter(None, [*overviews, *(figures or {}).values(), auroc])
    return page(
        "report.html",
        benchmark=benchmark,
        setting=setting,
        tie_level=tie_level,
        conventions=[
            (one, results_table(replace(one, rows=tuple(one.by_auroc()))), overview, _leaders(one))
            for one, overview in zip(shown, overviews, strict=True)
        ],
        caveats=[*caveats, *infinite_scores(results)],
        headline=_headline(results),
        gaps=_gaps(shown),
        facts={name: {label: _fact(value) for label, value in told.items()} for name, told in (facts or {}).items()},
        figures=figures or {},
        granularity=None if metrics is None else (auroc, mass, granularity_table(metrics)),
        # Plotly's own file never holds "</script"; it is the one part of the page that is not escaped.
        plotly_js=Markup(_plotly_js()) if any(one.is_interactive for one in drawn) else "",
    )


def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs  # imports IPython where that is installed

    return str(get_plotlyjs())


def _overview(results: Results) -> Illustration | None:
    """The dot-and-interval plot above a table; none where nothing was measured."""
    figure = interval_figure(results)
    if figure is None:
        return None
    told = "Each value with its 95 % interval."
    if sum(not row.gap for row in results.rows) > 1:
        order = results.columns[results.leading].ood_set
        told += (
            f" Rows stand in the order of their AUROC ({order}). All detectors score the same images, so two whose "
            "lines overlap may still differ: a star marks what cannot be told from the best, and beside a mean counts "
            "the OOD sets on which that is so."
        )
    absent = results.gaps()
    told += f" No number: {', '.join(absent)}; the reasons stand under the tables." if absent else ""
    return Illustration(figure, told)


def _gaps(shown: Sequence[Results]) -> dict[str, str]:
    """What has no number, and why; the convention is named where another one has a number or another reason there."""
    found = [one.gaps() for one in shown]
    return {
        name if all(other.get(name) == reason for other in found) else f"{name} ({one.title})": reason
        for one, own in zip(shown, found, strict=True)
        for name, reason in own.items()
    }


def _headline(results: pd.DataFrame) -> dict[str, str]:
    """What the page is about, in a few figures; what the results do not say is left out."""
    frame = results.reindex(columns=list(RESULT_COLUMNS)).map(as_text)
    is_set = (frame["mean_of"] == "") & ~frame["ood_set"].str.startswith("mean")
    stated = {
        "in-distribution": ", ".join(distinct_texts(frame["in_dist"])),
        "model": ", ".join(distinct_texts(frame["model"])),
        "OOD sets": str(len(distinct_texts(frame["ood_set"][is_set]))),
        "detectors": str(len(distinct_texts(frame["detector"]))),
        "seeds": ", ".join(str(int(float(seeds))) for seeds in distinct_texts(frame["seeds"])),
    }
    return {name: value for name, value in stated.items() if value}


def _leaders(results: Results) -> list[str]:
    """Best detectors of the first column by each metric, for the sentence above a table; ties are not tested there."""
    told = []
    for metric in METRICS:
        first = [(row.detector, row.places[0][metric]) for row in results.rows]
        reached = [(cell.value, detector, cell.text) for detector, cell in first if cell.value is not None]
        if reached:
            _, detector, text = (min if metric == "fpr95" else max)(reached, key=lambda one: one[0])
            told.append(f"{METRIC_TITLES[metric]} {text} % ({detector})")
    return told


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
