import pandas as pd
import pytest
from report.fabricated import KL_GAP, OOD_SETS, gap_rows, results

from scaling_ood.report import results_text
from scaling_ood.report.text import WIDTH

NINE = {f"an_ood_set_with_a_long_name_{number}": ("photographs", 0.4 * number, 40) for number in range(9)}


def line_of(text, detector):
    return next(line for line in text.splitlines() if line.startswith(detector)).split()


def test_auroc_stands_under_its_set_with_its_mark():
    table = results()
    text = results_text(table)
    rows = table[table["detector"] == "max_logit"].set_index("ood_set")
    names = line_of(text, "detector")[1:]
    for name, shown in zip(names, line_of(text, "max_logit")[1:], strict=True):
        mark = "*" if rows.loc[name, "auroc_tied"] is True else ""
        assert shown == f"{100 * rows.loc[name, 'auroc']:.1f}{mark}"
    assert "positive class: ood" in text


def test_means_of_the_other_metrics_follow():
    table = results()
    text = results_text(table)
    mean = table[(table["detector"] == "energy") & (table["ood_set"] == "mean")].iloc[0]
    after = text[text.index("FPR95 % (lower") :]
    assert line_of(after, "energy")[1:3] == [f"{100 * mean['fpr95']:.1f}", f"{100 * mean['aupr']:.1f}"]


@pytest.mark.parametrize("sets", [dict(list(OOD_SETS.items())[:1]), OOD_SETS, NINE])
def test_no_line_is_too_long_and_every_set_is_there(sets):
    table = results(ood_sets=sets, seeds=3)
    text = results_text(pd.concat([table, gap_rows(table, "knn", "a reason, " * 30)]))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(name in text for name in sets)
    assert "± 0.4" in text or "±0.4" in text


def test_gaps_have_their_reason_and_no_number():
    table = results()
    text = results_text(pd.concat([table, gap_rows(table, "knn", KL_GAP)]))
    assert f"knn: {KL_GAP}" in text
    assert not any(line.startswith("knn") for line in text.splitlines())


def test_positive_classes_have_tables_of_their_own():
    text = results_text(pd.concat([results(), results(positive_class="in_dist")]))
    assert text.count("AUROC %") == 2
    assert "positive class: in_dist" in text


def test_without_means_the_other_metrics_are_shown_per_set():
    table = results()
    text = results_text(table[table["mean_of"].isna()])
    assert "raccoons FPR95" in text


def test_a_gap_on_one_set_is_named_once():
    table = results()
    part = table[~((table["detector"] == "msp") & table["ood_set"].isin(["blobs", "mean"]))]
    hole = gap_rows(table, "msp", "one class missing")
    text = results_text(pd.concat([part, hole[hole["ood_set"] == "blobs"]]))
    assert text.endswith("No number\n  msp on blobs: one class missing\n")
    assert line_of(text, "msp")[1] == "-"


def test_infinite_scores_are_told_last_for_each_detector_and_set():
    table = results()
    assert "infinite" not in results_text(table)
    table["infinite_scores"] = 0
    table.loc[(table["detector"] == "energy") & (table["ood_set"] == next(iter(OOD_SETS))), "infinite_scores"] = 1234
    lines = results_text(pd.concat([table, table.assign(positive_class="in_dist")])).splitlines()
    assert lines[-1] == f"energy on {next(iter(OOD_SETS))}: 1,234 scores are infinite; they rank first or last, and tie"
    assert sum("infinite" in line for line in lines) == 1
