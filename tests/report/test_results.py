import numpy as np
import pandas as pd
import pytest
from report.fabricated import KL_GAP, gap_rows, results

from scaling_ood.report import csv_text, latex_text, markdown_text, results_table
from scaling_ood.report.results import NO_MEAN, arranged
from scaling_ood.report.table import DASH


@pytest.fixture(scope="module")
def table():
    return results()


def test_means_stand_first_then_the_sets_in_their_order(table):
    (shown,) = arranged(table)
    names = [column.ood_set for column in shown.columns]
    assert names[:5] == ["mean", "mean_photographs", "mean_noise", "tiny_imagenet_animals", "raccoons"]
    assert shown.columns[2].mean_of == ("gaussian", "rademacher", "blobs")
    assert shown.columns[2].under == ("over 3 OOD sets",)
    assert shown.columns[3].under == ("472 OOD, 600 in-dist.", "base rate 44.0 % OOD", "photographs")
    assert shown.columns[5 + 1].under[-1] == "noise (pixel range)"
    assert shown.columns[3].counted == "472 OOD images"
    (pixels,) = arranged(table.assign(skipped=0))
    assert pixels.columns[3].counted == "472 OOD pixels"


def test_marks_and_numbers_are_those_of_the_results(table):
    (shown,) = arranged(table)
    for row in shown.rows:
        for column, cells in zip(shown.columns, row.places, strict=True):
            source = table[(table["detector"] == row.detector) & (table["ood_set"] == column.ood_set)].iloc[0]
            assert cells["auroc"].value == 100 * source["auroc"]
            assert cells["fpr95"].tied == (source["fpr95_tied"] is True)
        expected = table[(table["detector"] == row.detector) & table["mean_of"].isna()]["auroc_tied"].sum()
        assert shown.tied_sets(row, "auroc") == (expected, 6)


def test_reading_the_results_back_from_csv_changes_nothing(table, tmp_path):
    table.to_csv(tmp_path / "results.csv", index=False)
    (shown,), (again,) = arranged(table), arranged(pd.read_csv(tmp_path / "results.csv"))
    assert again.columns == shown.columns
    assert [row.places[4]["auroc"].tied for row in again.rows] == [row.places[4]["auroc"].tied for row in shown.rows]


def test_intervals_are_read_and_may_be_absent(table, tmp_path):
    broken = table.copy()
    broken.loc[broken["detector"] == "msp", "auroc_low"] = np.nan
    broken.to_csv(tmp_path / "results.csv", index=False)
    (shown,) = arranged(pd.read_csv(tmp_path / "results.csv"))
    source = table[(table["detector"] == "energy") & (table["ood_set"] == "mean")].iloc[0]
    by_detector = {row.detector: row.places[0]["auroc"] for row in shown.rows}
    assert by_detector["energy"].interval == pytest.approx(
        (100 * source["auroc_low"], 100 * source["auroc_high"]), abs=1e-12
    )
    assert by_detector["msp"].interval is None
    assert by_detector["msp"].bounds == ()
    (older,) = arranged(table.drop(columns=["auroc_low", "auroc_high"]))
    assert older.rows[0].places[0]["auroc"].interval is None


def test_guessing_reaches_the_base_rate_and_on_average_the_mean_of_base_rates(table):
    chance = {column.ood_set: column.chance for column in arranged(table)[0].columns}
    rates = table[table["mean_of"].isna()].drop_duplicates("ood_set").set_index("ood_set")["base_rate"]
    assert chance["raccoons"] == {"auroc": 50, "fpr95": 95, "aupr": 100 * rates["raccoons"]}
    assert chance["mean_noise"]["aupr"] == pytest.approx(100 * rates[["gaussian", "rademacher", "blobs"]].mean())
    unknown = table.assign(base_rate=table["base_rate"].where(table["ood_set"] != "blobs"))
    chance = {column.ood_set: column.chance for column in arranged(unknown)[0].columns}
    assert [name for name, known in chance.items() if "aupr" not in known] == ["mean", "mean_noise", "blobs"]


def test_ties_are_counted_over_all_sets_or_over_those_of_a_mean(table):
    (shown,) = arranged(table)
    row = next(row for row in shown.rows if row.detector == "energy")
    tied = table[(table["detector"] == "energy") & (table["fpr95_tied"] == True)]["ood_set"]  # noqa: E712
    noise = ("gaussian", "rademacher", "blobs")
    assert shown.tied_sets(row, "fpr95") == (len(tied), 6)
    assert shown.tied_sets(row, "fpr95", noise) == (tied.isin(noise).sum(), 3)
    assert 0 < tied.isin(noise).sum() < len(tied)


def test_rows_are_ordered_by_auroc_and_those_without_come_last(table):
    (shown,) = arranged(pd.concat([gap_rows(table, "knn", KL_GAP), table]))
    names = [row.detector for row in shown.by_auroc()]
    mean = table[table["ood_set"] == "mean"].set_index("detector")["auroc"].sort_values(ascending=False)
    assert names == [*mean.index, "knn"]


def test_each_convention_has_a_table_of_its_own():
    both = pd.concat(
        [results(), results(positive_class="in_dist"), results(positive_class="ood", aggregation="per_image")]
    )
    shown = arranged(both)
    assert [(part.keys["positive_class"], part.keys["aggregation"]) for part in shown] == [
        ("ood", "pooled"),
        ("in_dist", "pooled"),
        ("ood", "per_image"),
    ]
    assert shown[0].varying == ("positive_class", "aggregation")
    assert shown[1].columns[3].under[1] == "base rate 56.0 % in-distribution"
    assert shown[1].title == "positive class: in-distribution, aggregation: pooled"


def test_detectors_that_read_networks_of_other_targets_stand_in_the_same_table(table):
    coarse = results(targets="coarse")
    coarse["detector"] = "families_" + coarse["detector"]
    (shown,) = arranged(pd.concat([table, coarse]))
    assert len(shown.rows) == 2 * table["detector"].nunique()


def test_a_detector_of_gaps_only_is_one_gap(table):
    (shown,) = arranged(pd.concat([table, gap_rows(table, "knn", KL_GAP)]))
    assert {row.detector: row.gap for row in shown.rows if row.gap} == shown.gaps() == {"knn": KL_GAP}


def test_a_gap_on_one_set_leaves_the_others_and_says_why_there_is_no_mean(table):
    part = table[~((table["detector"] == "msp") & table["ood_set"].isin(["blobs", "mean", "mean_noise"]))]
    hole = gap_rows(table, "msp", "one class missing")
    (shown,) = arranged(pd.concat([part, hole[hole["ood_set"] == "blobs"]]))
    places = zip(shown.columns, shown.rows[0].places, strict=True)
    gaps = {column.ood_set: cells["auroc"].gap for column, cells in places}
    assert shown.rows[0].gap == ""
    assert (gaps["blobs"], gaps["mean"], gaps["raccoons"]) == ("one class missing", NO_MEAN, "")


def test_a_number_that_is_nan_is_left_out(table):
    broken = table.copy()
    broken.loc[(broken["detector"] == "msp") & (broken["ood_set"] == "blobs"), "aupr"] = np.nan
    (shown,) = arranged(broken)
    cells = shown.rows[0].places[-1]
    assert [metric for metric, cell in cells.items() if cell.value is None] == ["aupr"]
    assert cells["aupr"].gap == ""


def test_counts_that_differ_between_detectors_are_seen(table):
    unfair = table.copy()
    unfair.loc[(unfair["detector"] == "energy") & (unfair["ood_set"] == "blobs"), "n_in"] = 599
    (shown,) = arranged(unfair)
    assert "600 / 599 in-dist." in shown.columns[-1].under[0]


def test_two_rows_in_one_place_are_an_error(table):
    with pytest.raises(ValueError, match=r"two rows for detector 'msp' on 'blobs'"):
        arranged(pd.concat([table, table[(table["detector"] == "msp") & (table["ood_set"] == "blobs")]]))


def test_a_missing_public_column_is_an_error(table):
    with pytest.raises(ValueError, match=r"lack the columns \['auroc'\]"):
        arranged(table.drop(columns="auroc"))


def test_an_empty_table_has_no_tables(table):
    assert arranged(table.iloc[:0]) == []


@pytest.fixture(scope="module")
def whole(table):
    return results_table(arranged(pd.concat([table.assign(auroc_sd=0.004), gap_rows(table, "knn", KL_GAP)]))[0])


def test_as_a_table_it_has_every_number_and_all_that_must_be_known(whole, table):
    assert [(one.text, one.span, one.look) for one in whole.header[0]][2:4] == [
        ("mean_noise", 3, "mean"),
        ("tiny_imagenet_animals", 3, ""),
    ]
    row = table[(table["detector"] == "energy") & (table["ood_set"] == "mean")].iloc[0]
    line = next(line for line in whole.lines if line.stubs[0].text == "energy")
    assert [cell.value for cell in line.cells[:3]] == [100 * row[metric] for metric in ("fpr95", "auroc", "aupr")]
    assert whole.gaps[0].reason == f"knn: {KL_GAP}"
    notes = dict(whole.notes)
    assert (notes["positive class"], notes["FPR rule"]) == ("OOD", "nearest")
    assert notes["mean_noise"] == "mean over gaussian, rademacher, blobs"


def test_the_other_formats_write_ties_intervals_and_gaps_too(whole, table):
    row = table[(table["auroc_tied"] == True)].iloc[0]  # noqa: E712
    value, low, high = (f"{100 * row[name]:.1f}" for name in ("auroc", "auroc_low", "auroc_high"))
    assert f"**{value} ± 0.4**★<br>{low}{DASH}{high}" in markdown_text([whole])
    assert f"| {DASH} {KL_GAP} |" in markdown_text([whole]).replace("\\", "")
    latex = latex_text([whole])
    assert f"$\\mathbf{{{value}}}^\\star \\pm 0.4$ {{\\scriptsize {low}--{high}}}" in latex
    assert f"{{l}}{{-- {KL_GAP}}}" in latex
    assert latex.count("{") == latex.count("}")
    assert latex.isascii()
    assert f",{value}," in csv_text(whole)
