import re

import numpy as np
import pandas as pd
import pytest
from report.fabricated import KL_GAP, OOD_SETS, gap_rows, results, scores

from scaling_ood.products.records import METRICS
from scaling_ood.report import in_encoding, results_text
from scaling_ood.report.text import WIDTH

NINE = {f"an_ood_set_with_a_long_name_{number}": ("photographs", 0.4 * number, 40) for number in range(9)}


def line_of(text, detector):
    return next(line for line in text.splitlines() if line.startswith(detector)).split()


def test_auroc_stands_under_its_set_with_its_mark():
    table = results()
    rows = table[table["detector"] == "max_logit"].set_index("ood_set")
    text = results_text(table)
    shown = {}
    for block in text.split("FPR95 %")[0].split("\n\n"):
        lines = {line.split()[0]: line for line in block.splitlines()}
        for title in re.finditer(r"\S+", lines.get("detector", "")):
            # A place for the mark is left to the right of a title's end.
            shown[title[0]] = lines["max_logit"][: title.end() + 1].split()[-1]
    for name in OOD_SETS:
        mark = "*" if rows.loc[name, "auroc_tied"] is True else ""
        assert shown[name] == f"{100 * rows.loc[name, 'auroc']:.1f}{mark}"
    assert "positive class: ood" in " ".join(text.split())


def test_means_of_the_other_metrics_follow_with_their_intervals():
    table = results()
    text = results_text(table)
    mean = table[(table["detector"] == "energy") & (table["ood_set"] == "mean")].iloc[0]
    after = text[text.index("FPR95 % (lower") :]
    told = [
        f"{100 * mean[metric]:.1f} [{100 * mean[f'{metric}_low']:.1f}, {100 * mean[f'{metric}_high']:.1f}]"
        for metric in ("fpr95", "aupr")
    ]
    assert " ".join(line_of(after, "energy")[1:7]) == " ".join(told)


def plots_of(text, detectors):
    """Detector to its part of the plot beside the first column; and the ends of the scale."""
    text = next(block for block in text.split("\n\n") if block.startswith("AUROC %"))
    head = next(line for line in text.splitlines() if "95 % interval" in line and line.startswith("detector"))
    low, high = re.search(r"interval +(\d+) +(\d+)", head).groups()
    start, end = re.search(r"interval +(\d+ +\d+)", head).span(1)
    lines = {line.split()[0]: line.ljust(WIDTH)[start:end] for line in text.splitlines() if line[:1].strip()}
    return {name: lines[name] for name in detectors}, float(low) / 100, float(high) / 100


def test_the_mean_is_drawn_with_its_interval_and_the_best_stands_first():
    table = results()
    text = results_text(table)
    mean = table[table["ood_set"] == "mean"].set_index("detector").sort_values("auroc", ascending=False)
    assert re.findall(rf"^({'|'.join(mean.index)})\b", text.split("\n\n")[1], re.MULTILINE) == list(mean.index)
    plots, low, high = plots_of(text, mean.index)
    for detector, plot in plots.items():
        places = [plot.index("●"), len(plot) - len(plot.lstrip(" ┊")), len(plot.rstrip(" ┊")) - 1]
        values = [low + place / (len(plot) - 1) * (high - low) for place in places]
        expected = mean.loc[detector, ["auroc", "auroc_low", "auroc_high"]]
        assert values == pytest.approx(list(expected), abs=(high - low) / len(plot))
        assert set(plot) <= set(" ─●┊")


def test_chance_is_drawn_where_it_is_in_view():
    plots, low, high = plots_of(results_text(results(scores({"msp": 0.9, "worse": -0.4}))), ["msp"])
    assert low < 0.5 < high
    assert "┊" in plots["msp"]
    assert "┊" not in results_text(results(scores({"msp": 0.9})))


def test_where_every_detector_has_a_gap_the_first_column_with_numbers_is_drawn():
    table = results().replace({"ood_set": {"mean": "mean_photographs", "mean_photographs": "mean"}})
    numbers = [name for name in table.columns if name.startswith(METRICS)]
    table.loc[table["ood_set"] == "mean", numbers] = np.nan
    text = results_text(table)
    assert "interval of mean_photographs" in " ".join(text.split())
    first = table[table["ood_set"] == "mean_photographs"].set_index("detector").sort_values("auroc", ascending=False)
    assert re.findall(rf"^({'|'.join(first.index)})\b", text, re.MULTILINE)[: len(first)] == list(first.index)


@pytest.mark.parametrize(("value", "scale"), [(1.0, "99 100"), (0.0, "0 1"), (0.5, "50 51")])
def test_a_number_without_an_interval_and_one_without_width_are_drawn(value, scale):
    table = results()
    for metric in METRICS:
        table[[metric, f"{metric}_low", f"{metric}_high"]] = value
    table.loc[table["detector"] == "msp", ["auroc_low", "auroc_high"]] = np.nan
    plots, low, high = plots_of(results_text(table), ["msp", "energy"])
    assert [low * 100, high * 100] == [float(end) for end in scale.split()]
    assert plots["msp"] == plots["energy"]
    assert plots["msp"].strip() == "●"


def test_without_intervals_there_is_no_plot():
    table = results()
    table[[f"{metric}_{end}" for metric in ("fpr95", "auroc", "aupr") for end in ("low", "high")]] = np.nan
    assert not set(results_text(table)) & set("─●[")


def test_what_a_terminal_cannot_show_is_drawn_with_ascii():
    text = results_text(results(scores({"msp": 0.9, "worse": -0.4}), seeds=3))
    assert in_encoding(text, "utf-8") == text
    for encoding in ("ascii", "cp1252", None):
        shown = in_encoding(text, encoding)
        assert "-o-" in shown
        assert ":" in plots_of(shown, ["msp"])[0]["msp"]
        shown.encode(encoding or "ascii")
    assert in_encoding("mo\N{LATIN SMALL LETTER U WITH DIAERESIS}we ●", "ascii") == "mo?we o"
    assert [len(line) for line in in_encoding(text, "ascii").replace("+-", "±").splitlines()] == list(
        map(len, text.splitlines())
    )


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


def test_gaps_that_several_conventions_share_are_told_once():
    first, second = results(), results(positive_class="in_dist")
    both = pd.concat([first, gap_rows(first, "knn", KL_GAP), second, gap_rows(second, "knn", KL_GAP)])
    text = results_text(both)
    assert text.count("No number") == 1
    assert text.endswith(f"No number\n  knn: {KL_GAP}\n")
    only_one = results_text(pd.concat([first, gap_rows(first, "knn", KL_GAP), second]))
    assert only_one.index("No number") < only_one.rindex("benchmark: ")


def test_positive_classes_have_tables_of_their_own():
    text = results_text(pd.concat([results(), results(positive_class="in_dist")]))
    assert text.count("AUROC %") == 2
    assert "positive class: in_dist" in " ".join(text.split())


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
