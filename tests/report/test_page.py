import base64
import json
import re

import numpy as np
import pandas as pd
import pytest
from report.fabricated import KL_GAP, OOD_SETS, example, gap_rows, granularity, results, scores
from report.pages import Page

from scaling_ood.report import (
    Illustration,
    dispersal_figure,
    histogram_figure,
    render_report,
    roc_figure,
)
from scaling_ood.report.results import arranged
from scaling_ood.report.table import DASH

EVIL = '<script>alert("x")</script>&amp;'


def page_of(table, **content):
    return Page(render_report("tiny_imagenet", "multi_class", table, **content))


@pytest.fixture(scope="module")
def full():
    frames, table = scores(), results()
    return page_of(
        pd.concat([table, gap_rows(table, "knn", KL_GAP), gap_rows(table, "grad_norm", "no gradients")]),
        facts={
            "Data": {"test images": 1128, "sha256 of the test ids": "60303ae2"},
            "Run": {"seeds": [0, 1], "amp": None},
        },
        caveats=["The backbone has seen the held-out classes."],
        figures={
            "ROC curves": Illustration(roc_figure(frames, list(OOD_SETS)), "Exact."),
            "Score histograms": Illustration(histogram_figure(frames, list(OOD_SETS))),
            "Dispersed probability": Illustration(dispersal_figure([example()]), "Foxes."),
        },
        granularity=granularity(),
    )


def test_it_loads_nothing(full):
    for tag in ("script", "img", "iframe", "link"):
        for attributes in full.of(tag):
            address = attributes.get("src") or attributes.get("href") or ""
            assert address == "" or address.startswith("data:")
    assert not full.of("link")
    style = re.search(r"<style>(.*?)</style>", full.html, re.DOTALL)
    assert not re.search(r"@import|url\(", style[1])
    (policy,) = [attributes for attributes in full.of("meta") if "http-equiv" in attributes]
    assert policy["content"].startswith("default-src 'none'")


def test_plotly_is_there_once_and_only_where_it_is_needed(full):
    assert full.html.count("plotly.js v") == 1
    assert len(page_of(gap_rows(results(), "knn", KL_GAP)).html) < 100_000


def test_caveats_stand_before_every_number(full):
    assert full.text.index("The backbone has seen") < full.text.index("Results")
    assert "caveats" in full.ids


def test_contents_lead_to_sections_that_exist(full):
    targets = [attributes["href"].removeprefix("#") for attributes in full.of("a")]
    assert set(targets) <= set(full.ids)
    assert {"results", "reading", "granularity", "facts", "gaps", "figure-1-title"} <= set(targets)
    assert len(full.ids) == len(set(full.ids))


def test_cells_hold_the_results_and_the_marks():
    table = results()
    page = page_of(table)
    cells = page.row("max_logit")
    rows = table[table["detector"] == "max_logit"].set_index("ood_set")
    names = ["mean", "mean_photographs", "mean_noise", *OOD_SETS]
    places = [(name, metric) for name in names for metric in ("fpr95", "auroc", "aupr")]
    for (name, metric), (attributes, text) in zip(places, cells, strict=True):
        low, high = (100 * rows.loc[name, f"{metric}_{end}"] for end in ("low", "high"))
        assert text == f"{100 * rows.loc[name, metric]:.1f} {low:.1f}{DASH}{high:.1f}"
        assert ("best" in attributes["class"]) == (rows.loc[name, f"{metric}_tied"] is True)
    assert "best of its column, or statistically tied with it" in page.text


def test_every_column_names_its_counts_base_rate_and_the_table_its_positive_class():
    page = page_of(results())
    assert "96 OOD, 600 in-dist." in page.text
    assert "base rate 13.8 % OOD" in page.text
    assert "noise (pixel range)" in page.text
    assert "positive class: OOD" in page.text
    assert "mean_noise: mean over gaussian, rademacher, blobs" in page.text


def test_intervals_are_seen_before_the_numbers_and_name_what_they_leave_out(full):
    where = [full.html.index(part) for part in ('id="results"', 'id="intervals-1"', '<table class="results">')]
    assert where == sorted(where)
    shown = " ".join(full.text.split())
    assert "No number: knn, grad_norm; the reasons stand under the tables." in shown
    assert "Rows stand in the order of their AUROC (mean)" in shown


def test_each_convention_has_its_intervals_above_its_table():
    tables = [results(aggregation="per_image"), results(aggregation="pooled")]
    page = page_of(pd.concat([*tables, *(gap_rows(table, "knn", KL_GAP) for table in tables)]))
    titles = ["aggregation: per_image</h3>", 'id="intervals-1"', "aggregation: pooled</h3>", 'id="intervals-2"']
    assert [page.html.index(title) for title in titles] == sorted(page.html.index(title) for title in titles)
    assert page.html.count('<table class="results">') == 2
    assert " ".join(page.text.split()).count("No number: knn; the reasons") == 2


def test_the_table_has_the_order_of_the_figure():
    table = results()
    order = [row.detector for row in arranged(table)[0].by_auroc()]
    assert order != [row.detector for row in arranged(table)[0].rows]
    html = page_of(table).html
    places = [html.index(f">{name}<", html.index('<table class="results">')) for name in order]
    assert places == sorted(places)


def test_a_gap_of_every_convention_is_told_once():
    tables = [results(aggregation="per_image"), results(aggregation="pooled")]
    everywhere = [gap_rows(table, "knn", KL_GAP) for table in tables]
    page = page_of(pd.concat([*tables, *everywhere, gap_rows(tables[0], "vim", "no head")]))
    told = page.html[page.html.index('class="gaps"') :]
    assert told.count("knn") == 1
    assert "vim (aggregation: per_image)" in told


def test_numbers_without_an_interval_have_none_below_them():
    table = results()
    table.loc[table["detector"] == "msp", ["auroc_low", "auroc_high"]] = np.nan
    cells = [text for _, text in page_of(table).row("msp")]
    assert [len(text.split()) for text in cells[:3]] == [2, 1, 2]


def test_gaps_are_dashes_with_their_reason(full):
    assert [text for _, text in full.row("knn")] == [f"{DASH} {KL_GAP}"]
    assert [text for _, text in full.row("grad_norm")] == [f"{DASH} no gradients"]
    assert f"knn: {KL_GAP}" in " ".join(full.text.split())


def test_a_gap_on_one_set_is_named_below_the_table():
    table = results()
    part = table[~((table["detector"] == "msp") & (table["ood_set"] == "blobs"))]
    hole = gap_rows(table, "msp", "one class missing")
    page = page_of(pd.concat([part, hole[hole["ood_set"] == "blobs"]]))
    assert [text for _, text in page.row("msp")[-3:]] == [DASH] * 3
    assert page.html.count('title="one class missing"') == 3
    assert "msp on blobs: one class missing" in " ".join(page.text.split())


def test_several_seeds_show_their_spread():
    page = page_of(results(seeds=3))
    assert "± 0.4" in page.row("msp")[0][1]
    assert "± standard deviation" in page.text
    assert "± standard deviation" not in page_of(results()).text


def test_values_under_one_half_are_shown_as_they_are():
    table = results(scores(detectors={"msp": -1.0}))
    expected = f"{100 * table.loc[table['ood_set'] == 'raccoons', 'auroc'].item():.1f}"
    assert float(expected) < 20
    assert expected in [text.split()[0] for _, text in page_of(table).row("msp")]


def test_the_network_of_a_detector_is_named_where_it_is_not_the_shared_one():
    table = results()
    assert "network:" not in page_of(table).text
    table["network"] = np.where(table["detector"] == "msp", "rotation", "classifier")
    page = page_of(table)
    assert page.text.count("network: rotation") == 1
    assert "network: classifier" not in page.text


def test_conventions_have_tables_of_their_own():
    page = page_of(pd.concat([results(), results(positive_class="in_dist")]))
    headings = [row for row in page.rows if row and row[0][1] == "detector"]
    assert len(headings) == 2
    assert "positive class: in-distribution" in page.text
    assert "base rate 86.2 % in-distribution" in page.text


def test_fine_and_coarse_classes_are_compared(full):
    row = next(row for row in full.rows if row and row[0][1] == "grouped_msp")
    assert [text for _, text in row[1:5]] == ["45.6", DASH, "74.4", DASH]


def test_figures_are_data_that_a_script_can_read(full):
    blocks = re.findall(r'<script type="application/json">(.*?)</script>', full.html, re.DOTALL)
    traces = [len(json.loads(block)["data"]) for block in blocks]
    assert traces[1:] == [4, 2, 5 * 6, 2 * 5 * 6]
    (image,) = full.of("img")
    assert b"<svg" in base64.b64decode(image["src"].partition(",")[2])


def test_facts_are_listed(full):
    shown = " ".join(full.text.split())
    assert "test images 1,128" in shown
    assert "seeds 0, 1" in shown


def test_names_are_never_markup():
    frames = {EVIL: scores()["msp"].replace("blobs", EVIL)}
    table = results(scores(detectors={EVIL: 1.0})).replace("blobs", EVIL)
    page = page_of(
        pd.concat([table, gap_rows(table, EVIL + "2", EVIL)]),
        facts={EVIL: {EVIL: EVIL}},
        caveats=[EVIL],
        figures={EVIL: Illustration(roc_figure(frames, [EVIL]), EVIL)},
    )
    assert EVIL not in page.html
    assert EVIL in page.text


@pytest.mark.parametrize("count", [1, 9])
def test_few_and_many_sets(count):
    sets = {f"set_{number}": ("photographs", 1.0, 40) for number in range(count)}
    table = results(ood_sets=sets)
    page = page_of(table[table["ood_set"] != "mean_noise"])
    assert len(page.row("energy")) == 3 * (count + 2)


def test_infinite_scores_are_told_before_the_numbers():
    table = results()
    assert "infinite" not in page_of(table).text
    table["infinite_scores"] = 3
    assert "msp on blobs: 3 scores are infinite" in page_of(table).text


def test_a_number_that_is_nan_is_a_dash():
    table = results()
    table.loc[(table["detector"] == "msp") & (table["ood_set"] == "blobs"), "aupr"] = np.nan
    assert page_of(table).row("msp")[-1][1] == DASH
    assert "nan" not in page_of(table).text.lower()


def test_a_report_without_results_says_so():
    assert "No detector has results yet." in page_of(results().iloc[:0]).text


def test_the_same_content_gives_the_same_file():
    pages = [page_of(results(), figures={"Foxes": Illustration(dispersal_figure([example()]))}) for _ in range(2)]
    assert pages[0].html == pages[1].html


def test_another_kind_of_figure_is_refused():
    with pytest.raises(TypeError, match="must be a Plotly or a Matplotlib figure, got str"):
        page_of(results(), figures={"Sketch": Illustration("a drawing")})
