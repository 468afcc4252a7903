import numpy as np
import pandas as pd
import pytest
from report.fabricated import KL_GAP, OOD_SETS, gap_rows, results, scores
from scaling_ood.records import METRICS

from scaling_ood.report import interval_figures
from scaling_ood.report.intervals import interval_figure
from scaling_ood.report.results import arranged

EIGHTEEN = {f"detector_{number}": 0.5 + 0.05 * number for number in range(18)}
EIGHT = {f"set_{number}": ("photographs", 0.3 * number, 60) for number in range(8)}
AXES = {"auroc": "x", "aupr": "x2", "fpr95": "x3"}


def drawn(table):
    (only,) = arranged(table)
    return interval_figure(only)


def dots(figure):
    """(view, metric, row) to (value, low, high, symbol)."""
    found = {}
    for trace in figure.data:
        if trace.error_x.array is not None:
            assert trace.xaxis == AXES[trace.meta["metric"]]
            for x, y, up, down in zip(trace.x, trace.y, trace.error_x.array, trace.error_x.arrayminus, strict=True):
                place = (trace.meta["view"], trace.meta["metric"], y)
                assert place not in found
                found[place] = (x / 100, (x - down) / 100, (x + up) / 100, trace.marker.symbol)
    return found


def test_every_number_is_a_dot_on_its_interval_and_a_star_where_it_is_tied():
    table = results()
    found = dots(drawn(table))
    assert len(found) == 3 * len(table)
    for row in table.to_dict("records"):
        for metric in METRICS:
            value, low, high, symbol = found[row["ood_set"], metric, row["detector"]]
            assert (value, low, high) == pytest.approx([row[metric], row[f"{metric}_low"], row[f"{metric}_high"]])
            assert symbol == ("star" if row[f"{metric}_tied"] is True else "circle")
    assert {symbol for *_, symbol in found.values()} == {"star", "circle"}


def test_the_best_mean_auroc_stands_on_top_in_every_view():
    table = results()
    axis = drawn(table).layout.yaxis
    mean = table[table["ood_set"] == "mean"].set_index("detector")["auroc"].sort_values(ascending=False)
    assert list(axis.categoryarray) == list(mean.index)
    assert axis.range[0] > axis.range[1], "the first stands on top"


def test_the_mean_is_seen_first_and_the_menu_shows_one_column_at_a_time():
    figure = drawn(results())
    (menu,) = figure.layout.updatemenus
    names = [trace.meta["view"] for trace in figure.data]
    assert [name for name, trace in zip(names, figure.data, strict=True) if trace.visible] == [
        name for name in names if name == "mean"
    ]
    views = ["mean", "mean_photographs", "mean_noise", *OOD_SETS]
    for view, button in zip(views, menu.buttons, strict=True):
        style, layout = button.args
        assert f"<b>{view}</b>" in button.label
        assert [name == view for name in names] == list(style["visible"])
        assert {f"{axis}.range" for axis in ("xaxis", "xaxis2", "xaxis3")} <= layout.keys()


def test_a_mean_says_on_how_many_of_its_own_sets_a_detector_is_tied():
    table = results()
    counts = {
        (trace.meta["view"], row): text.split()[1]
        for trace in drawn(table).data
        if trace.mode == "text" and trace.meta["metric"] == "auroc"
        for row, text in zip(trace.y, trace.text, strict=True)
    }
    expected = {}
    for view, members in {"mean": list(OOD_SETS), "mean_noise": ["gaussian", "rademacher", "blobs"]}.items():
        for detector, rows in table[table["ood_set"].isin(members)].groupby("detector"):
            tied = sum(rows["auroc_tied"] == True)  # noqa: E712
            if tied:
                expected[view, detector] = f"{tied}/{len(members)}"
    assert {place: text for place, text in counts.items() if place[0] in ("mean", "mean_noise")} == expected
    assert expected
    assert not {view for view, _ in counts} & set(OOD_SETS)


def test_guessing_is_a_line_where_it_has_a_meaning():
    table = results()
    table.loc[table["ood_set"] == "blobs", "base_rate"] = np.nan
    figure = drawn(table)
    guessing = {
        (trace.meta["view"], trace.meta["metric"]): set(trace.x) for trace in figure.data if trace.name == "guessing"
    }
    rate = table.loc[table["ood_set"] == "raccoons", "base_rate"].iloc[0]
    assert guessing["raccoons", "auroc"] == {50}
    assert guessing["raccoons", "fpr95"] == {95}
    assert guessing["raccoons", "aupr"] == {100 * rate}
    assert {("blobs", "aupr"), ("mean", "aupr")}.isdisjoint(guessing)
    assert "guessing: 50.0 %" in figure.layout.xaxis.title.text


def test_gaps_are_not_drawn():
    table = results()
    hole = gap_rows(table, "msp", "one class missing")
    part = table[~((table["detector"] == "msp") & table["ood_set"].isin(["blobs", "mean"]))]
    figure = drawn(pd.concat([part, hole[hole["ood_set"] == "blobs"], gap_rows(table, "knn", KL_GAP)]))
    assert "knn" not in figure.layout.yaxis.categoryarray
    assert figure.layout.yaxis.categoryarray[-1] == "msp", "without a mean it stands last"
    rows = {(view, row) for view, _, row in dots(figure)}
    assert ("raccoons", "msp") in rows
    assert {("blobs", "msp"), ("mean", "msp")}.isdisjoint(rows)


def test_without_any_mean_the_first_set_leads():
    table = results()
    part = table[table["mean_of"].isna()]
    figure = drawn(part)
    order = part[part["ood_set"] == "tiny_imagenet_animals"].set_index("detector")["auroc"].sort_values(ascending=False)
    assert list(figure.layout.yaxis.categoryarray) == list(order.index)
    assert {trace.meta["view"] for trace in figure.data if trace.visible} == {"tiny_imagenet_animals"}


def test_a_number_without_an_interval_is_a_bare_dot():
    table = results()
    table.loc[table["detector"] == "msp", ["auroc_low", "auroc_high"]] = np.nan
    value, low, high, _ = dots(drawn(table))["mean", "auroc", "msp"]
    assert low == value == high
    assert "NaN" not in drawn(table).to_json()


def test_with_one_set_the_set_is_shown_with_its_marks_and_there_is_no_menu():
    table = results(ood_sets={"raccoons": OOD_SETS["raccoons"]})
    figure = drawn(table[table["ood_set"].isin(["raccoons", "mean"])])
    assert not figure.layout.updatemenus
    assert {view for view, *_ in dots(figure)} == {"raccoons"}
    assert "star" in {symbol for *_, symbol in dots(figure).values()}
    assert [note.text for note in figure.layout.annotations] == ["<b>raccoons</b>, 96 OOD images"]


def test_a_single_detector_has_a_row_per_column():
    table = results()
    figure = drawn(table[table["detector"] == "energy"])
    assert list(figure.layout.yaxis.categoryarray) == ["mean", "mean_photographs", "mean_noise", *OOD_SETS]
    row = table[(table["detector"] == "energy") & (table["ood_set"] == "camvid")].iloc[0]
    assert dots(figure)["energy", "aupr", "camvid"][:3] == pytest.approx(
        [row["aupr"], row["aupr_low"], row["aupr_high"]]
    )


def test_many_detectors_and_sets_keep_rows_apart_and_everything_in_view():
    table = results(scores(EIGHTEEN, EIGHT), ood_sets=EIGHT)
    figure = drawn(table[table["ood_set"] != "mean_noise"])
    layout = figure.layout
    height = layout.height - layout.margin.t - layout.margin.b
    assert height / 18 >= 20
    (menu,) = layout.updatemenus
    ranges = {}
    for name, button in zip(["mean", "mean_photographs", *EIGHT], menu.buttons, strict=True):
        for metric, axis in zip(AXES, ("xaxis", "xaxis2", "xaxis3"), strict=True):
            ranges[name, metric] = button.args[1][f"{axis}.range"]
            ticks = button.args[1][f"{axis}.tickvals"]
            assert 2 <= len(ticks) <= 7
            assert all(
                0 <= tick <= 100 and ranges[name, metric][0] <= tick <= ranges[name, metric][1] for tick in ticks
            )
    for (view, metric, _), (_, low, high, _) in dots(figure).items():
        left, right = ranges[view, metric]
        assert left <= 100 * low <= 100 * high <= right


def test_constant_scores_can_be_drawn():
    table = results()
    for metric in METRICS:
        table[[metric, f"{metric}_low", f"{metric}_high"]] = 1.0
    figure = drawn(table)
    left, right = figure.layout.xaxis.range
    assert left < 100 < right


@pytest.mark.parametrize(
    ("tables", "stems"),
    [
        ([results()], ["intervals"]),
        ([results(aggregation=name) for name in ("per_image", "pooled")], ["intervals_per_image", "intervals_pooled"]),
        ([gap_rows(results(), "knn", KL_GAP)], []),
    ],
)
def test_each_convention_has_a_figure_of_its_own_and_gaps_alone_have_none(tables, stems):
    assert list(interval_figures(pd.concat(tables))) == stems
