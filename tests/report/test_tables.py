import numpy as np
import pandas as pd
import pytest
from report.fabricated import KL_GAP, gap_rows, results

from scaling_ood.report.tables import NO_MEAN, by_auroc, interval_text, results_tables, tied_sets


@pytest.fixture(scope="module")
def table():
    return results()


def test_means_stand_first_then_the_sets_in_their_order(table):
    (shown,) = results_tables(table)
    names = [column.ood_set for column in shown.columns]
    assert names[:5] == ["mean", "mean_photographs", "mean_noise", "tiny_imagenet_animals", "raccoons"]
    assert shown.columns[2].mean_of == ("gaussian", "rademacher", "blobs")
    assert (shown.columns[3].n_out, shown.columns[3].n_in, shown.columns[3].base_rate) == ("472", "600", "44.0 %")


def test_marks_and_numbers_are_those_of_the_results(table):
    (shown,) = results_tables(table)
    for row in shown.rows:
        for column, entry in zip(shown.columns, row.entries, strict=True):
            source = table[(table["detector"] == row.detector) & (table["ood_set"] == column.ood_set)].iloc[0]
            assert entry.numbers["auroc"].value == source["auroc"]
            assert entry.numbers["fpr95"].tied == (source["fpr95_tied"] is True)
        expected = table[(table["detector"] == row.detector) & table["mean_of"].isna()]["auroc_tied"].sum()
        assert tied_sets(shown, row, "auroc") == (expected, 6)


def test_reading_the_results_back_from_csv_changes_nothing(table, tmp_path):
    table.to_csv(tmp_path / "results.csv", index=False)
    (shown,), (again,) = results_tables(table), results_tables(pd.read_csv(tmp_path / "results.csv"))
    assert again.columns == shown.columns
    assert [row.entries[4].numbers["auroc"].tied for row in again.rows] == [
        row.entries[4].numbers["auroc"].tied for row in shown.rows
    ]


def test_intervals_are_read_and_may_be_absent(table, tmp_path):
    broken = table.copy()
    broken.loc[broken["detector"] == "msp", "auroc_low"] = np.nan
    broken.to_csv(tmp_path / "results.csv", index=False)
    (shown,) = results_tables(pd.read_csv(tmp_path / "results.csv"))
    source = table[(table["detector"] == "energy") & (table["ood_set"] == "mean")].iloc[0]
    by_detector = {row.detector: row.entries[0].numbers["auroc"] for row in shown.rows}
    assert by_detector["energy"].interval == pytest.approx((source["auroc_low"], source["auroc_high"]), abs=1e-12)
    assert by_detector["msp"].interval is None
    assert interval_text(by_detector["msp"]) == ""
    (older,) = results_tables(table.drop(columns=["auroc_low", "auroc_high"]))
    assert older.rows[0].entries[0].numbers["auroc"].interval is None


def test_guessing_reaches_the_base_rate_and_on_average_the_mean_of_base_rates(table):
    chance = {column.ood_set: column.chance for column in results_tables(table)[0].columns}
    rates = table[table["mean_of"].isna()].drop_duplicates("ood_set").set_index("ood_set")["base_rate"]
    assert chance["raccoons"] == {"auroc": 0.5, "fpr95": 0.95, "aupr": rates["raccoons"]}
    assert chance["mean_noise"]["aupr"] == pytest.approx(rates[["gaussian", "rademacher", "blobs"]].mean())
    unknown = table.assign(base_rate=table["base_rate"].where(table["ood_set"] != "blobs"))
    chance = {column.ood_set: column.chance for column in results_tables(unknown)[0].columns}
    assert [name for name, known in chance.items() if "aupr" not in known] == ["mean", "mean_noise", "blobs"]


def test_ties_are_counted_over_all_sets_or_over_those_of_a_mean(table):
    (shown,) = results_tables(table)
    row = next(row for row in shown.rows if row.detector == "energy")
    tied = table[(table["detector"] == "energy") & (table["fpr95_tied"] == True)]["ood_set"]  # noqa: E712
    noise = ("gaussian", "rademacher", "blobs")
    assert tied_sets(shown, row, "fpr95") == (len(tied), 6)
    assert tied_sets(shown, row, "fpr95", noise) == (tied.isin(noise).sum(), 3)
    assert 0 < tied.isin(noise).sum() < len(tied)


def test_rows_are_ordered_by_auroc_and_those_without_come_last(table):
    (shown,) = results_tables(pd.concat([gap_rows(table, "knn", KL_GAP), table]), {"odin": "no gradients"})
    names = [row.detector for row in by_auroc(shown)]
    mean = table[table["ood_set"] == "mean"].set_index("detector")["auroc"].sort_values(ascending=False)
    assert names == [*mean.index, "knn", "odin"]


def test_each_convention_has_a_table_of_its_own():
    both = pd.concat(
        [results(), results(positive_class="in_dist"), results(positive_class="ood", aggregation="per_image")]
    )
    shown = results_tables(both)
    assert [(part.keys["positive_class"], part.keys["aggregation"]) for part in shown] == [
        ("ood", "pooled"),
        ("in_dist", "pooled"),
        ("ood", "per_image"),
    ]
    assert shown[0].varying == ("positive_class", "aggregation")
    assert shown[1].columns[3].base_rate == "56.0 %"


def test_a_gap_without_keys_belongs_to_every_table(table):
    both = pd.concat([results(labels="fine"), results(labels="coarse")])
    gap = pd.DataFrame([{"detector": "grad_norm", "gap": "no gradients"}])
    shown = results_tables(pd.concat([both, gap]))
    assert [part.keys["labels"] for part in shown] == ["fine", "coarse"]
    assert [[row.gap for row in part.rows if row.detector == "grad_norm"] for part in shown] == [["no gradients"]] * 2


def test_a_detector_of_gaps_only_is_one_gap(table):
    (shown,) = results_tables(pd.concat([table, gap_rows(table, "knn", KL_GAP)]), {"odin": "no gradients"})
    assert {row.detector: row.gap for row in shown.rows if row.gap} == {"knn": KL_GAP, "odin": "no gradients"}


def test_a_gap_on_one_set_leaves_the_others_and_says_why_there_is_no_mean(table):
    part = table[~((table["detector"] == "msp") & table["ood_set"].isin(["blobs", "mean", "mean_noise"]))]
    hole = gap_rows(table, "msp", "one class missing")
    (shown,) = results_tables(pd.concat([part, hole[hole["ood_set"] == "blobs"]]))
    entries = {column.ood_set: entry for column, entry in zip(shown.columns, shown.rows[0].entries, strict=True)}
    assert shown.rows[0].gap == ""
    assert (entries["blobs"].gap, entries["mean"].gap, entries["raccoons"].gap) == ("one class missing", NO_MEAN, "")


def test_a_number_that_is_nan_is_left_out(table):
    broken = table.copy()
    broken.loc[(broken["detector"] == "msp") & (broken["ood_set"] == "blobs"), "aupr"] = np.nan
    (shown,) = results_tables(broken)
    assert set(shown.rows[0].entries[-1].numbers) == {"fpr95", "auroc"}


def test_counts_that_differ_between_detectors_are_seen(table):
    unfair = table.copy()
    unfair.loc[(unfair["detector"] == "energy") & (unfair["ood_set"] == "blobs"), "n_in"] = 599
    (shown,) = results_tables(unfair)
    assert shown.columns[-1].n_in == "600 / 599"


def test_two_rows_in_one_place_are_an_error(table):
    with pytest.raises(ValueError, match=r"two rows for detector 'msp' on 'blobs'"):
        results_tables(pd.concat([table, table[(table["detector"] == "msp") & (table["ood_set"] == "blobs")]]))


def test_a_missing_public_column_is_an_error(table):
    with pytest.raises(ValueError, match=r"lack the columns \['auroc'\]"):
        results_tables(table.drop(columns="auroc"))


def test_an_empty_table_has_no_tables(table):
    assert results_tables(table.iloc[:0]) == []
