"""Scores to tables: the numbers of independent references, gaps, means, seeds and ties."""

import numpy as np
import pandas as pd
import pytest
from helpers.fabricated_scores import REASON, fabricated, gap, of_frame, prepared
from sklearn.metrics import average_precision_score, roc_auc_score

from scaling_ood.evaluation.tables import mark_ties, mean_groups, measure_scores, summarise
from scaling_ood.metrics import detection_metrics, metric_intervals
from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.products.records import METRICS, RESULT_COLUMNS

REPORTING = ReportingSpec()
IN_DIST = ReportingSpec(positive_class="in_dist")
BOTH = ReportingSpec(positive_class="both")
PREPARED = prepared()
TIED = [f"{metric}_tied" for metric in METRICS]


def measured(scores, reporting=REPORTING):
    return measure_scores(scores, PREPARED, reporting)


def table(scores, reporting=REPORTING):
    return summarise(measured(scores, reporting), scores, PREPARED, reporting)


def pair(scores, seed, ood_set):
    rows = scores.frame[(scores.frame["seed"] == seed) & scores.frame["image_set"].isin(["test", ood_set])]
    return rows["score"].to_numpy(), (rows["image_set"] == ood_set).to_numpy()


def ties(*scores, reporting=REPORTING):
    rows = pd.concat([table(one, reporting) for one in scores], ignore_index=True)
    return mark_ties(rows, scores, PREPARED, reporting).set_index(["detector", "ood_set"])


# Metrics


def test_there_is_one_row_of_metrics_per_seed_and_ood_set():
    metrics = measured(fabricated())
    keys = list(metrics[["seed", "ood_set"]].itertuples(index=False, name=None))
    assert keys == [(seed, name) for seed in (0, 1) for name in ("static", "greens")]
    assert metrics["n_in"].tolist() == [40] * 4
    assert metrics["n_out"].tolist() == [15, 25] * 2


@pytest.mark.parametrize("reporting", [REPORTING, IN_DIST, ReportingSpec(fpr_rule="first")])
def test_metrics_are_scikit_learns_and_those_of_detection_metrics_called_by_hand(reporting):
    scores = fabricated()
    for row in measured(scores, reporting).itertuples():
        score, is_ood = pair(scores, row.seed, row.ood_set)
        if reporting.positive_class == "in_dist":
            score, is_ood = -score, ~is_ood
        assert row.auroc == pytest.approx(roc_auc_score(is_ood, score), abs=1e-12)
        assert row.aupr == pytest.approx(average_precision_score(is_ood, score), abs=1e-12)
        expected = detection_metrics(score, is_ood, fpr_rule=reporting.fpr_rule)
        assert (row.auroc, row.aupr, row.fpr95) == tuple(expected)


def test_what_is_caught_at_5_percent_false_alarms_is_ood_whichever_class_is_positive():
    scores = fabricated()
    for reporting in (REPORTING, IN_DIST):
        for row in measured(scores, reporting).itertuples():
            score, is_ood = pair(scores, row.seed, row.ood_set)
            # Of 40 in-distribution images two may be flagged.
            allowed = np.sort(score[~is_ood])[-3]
            assert row.tpr_at_5_fpr == np.mean(score[is_ood] > allowed)
    rows = table(scores).set_index("ood_set")
    assert rows["tpr_at_5_fpr"].between(rows["tpr_at_5_fpr_low"], rows["tpr_at_5_fpr_high"]).all()
    assert rows.loc["mean", "tpr_at_5_fpr"] == pytest.approx(rows.loc[["static", "greens"], "tpr_at_5_fpr"].mean())


def test_auroc_does_not_depend_on_the_positive_class_and_aupr_does():
    ood, known = (measured(fabricated(), given) for given in (REPORTING, IN_DIST))
    np.testing.assert_allclose(known["auroc"], ood["auroc"], atol=1e-12)
    assert not np.allclose(known["aupr"], ood["aupr"])


def test_in_distribution_as_positive_class_flags_the_in_distribution_at_the_recall():
    scores = fabricated(shift=10.0)
    # Two OOD images look like the 40 in-distribution ones: 2 of 15 are accepted at any recall of the latter.
    scores.frame.loc[scores.frame.index[scores.frame["image_set"] == "static"][:2], "score"] = -9.0
    known = measured(scores, IN_DIST)
    assert known.loc[(known["seed"] == 0) & (known["ood_set"] == "static"), "fpr95"].item() == pytest.approx(2 / 15)


def test_distinct_and_infinite_scores_are_counted():
    scores = fabricated(decimals=0)
    assert measured(scores).iloc[0]["distinct_scores"] == len(set(pair(scores, 0, "static")[0].tolist()))
    for seed, count in ((0, 2), (1, 3)):
        rows = scores.frame[(scores.frame["seed"] == seed) & (scores.frame["image_set"] == "static")].index[:count]
        scores.frame.loc[rows, "score"] = np.inf
    metrics = measured(scores)
    found = metrics[metrics["ood_set"] == "static"].set_index("seed")["infinite_scores"]
    assert found.to_dict() == {0: 2, 1: 3}
    rows = table(scores).set_index("ood_set")["infinite_scores"]
    assert rows["static"] == 3
    assert rows.drop("static").fillna(0).eq(0).all()


def test_an_empty_ood_set_is_an_error_that_names_detector_and_set():
    frame = fabricated().frame
    without = of_frame("msp", frame[frame["image_set"] != "greens"])
    with pytest.raises(ValueError, match="detector msp, OOD set greens: Ranking metrics need both classes"):
        measured(without)


def test_a_nan_in_stored_scores_is_never_measured():
    scores = fabricated()
    scores.frame.loc[3, "score"] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        measured(scores)


# Rows


def test_the_table_has_the_public_columns_and_rows_for_sets_and_means():
    rows = table(fabricated())
    assert tuple(rows.columns) == RESULT_COLUMNS
    assert rows["ood_set"].tolist() == ["static", "greens", "mean", "mean_noise", "mean_photographs"]
    for column, value in (("detector", "msp"), ("aggregation", "pooled"), ("gap", ""), ("network", "classifier")):
        assert set(rows[column]) == {value}
    assert rows["noise_range"].tolist()[:2] == ["pixel", ""]
    assert rows["ood_source"].tolist()[:2] == ["noise", "photographs"]


def test_both_positive_classes_are_the_two_tables_one_after_the_other():
    alone = pd.concat([table(fabricated(), given) for given in (IN_DIST, REPORTING)], ignore_index=True)
    pd.testing.assert_frame_equal(table(fabricated(), BOTH), alone)


def test_metrics_of_several_seeds_are_their_mean_with_the_sample_standard_deviation():
    metrics, row = measured(fabricated()), table(fabricated()).set_index("ood_set").loc["greens"]
    for metric in METRICS:
        one, other = metrics.loc[metrics["ood_set"] == "greens", metric]
        assert row[metric] == pytest.approx((one + other) / 2)
        assert row[f"{metric}_sd"] == pytest.approx(abs(one - other) / np.sqrt(2))
    assert row["seeds"] == 2


def test_one_seed_has_no_standard_deviation():
    rows = table(fabricated(seeds=(0,)))
    assert rows[[f"{metric}_sd" for metric in METRICS]].isna().all(axis=None)
    assert rows["auroc"].notna().all()


def test_a_mean_is_unweighted_over_exactly_the_sets_that_it_names_and_its_spread_is_over_seeds():
    metrics, rows = measured(fabricated()), table(fabricated()).set_index("ood_set")
    by_seed = [metrics.loc[metrics["seed"] == seed, "auroc"].to_numpy().sum() / 2 for seed in (0, 1)]
    assert rows.loc["mean", "auroc"] == pytest.approx(sum(by_seed) / 2)
    assert rows.loc["mean", "auroc_sd"] == pytest.approx(abs(by_seed[0] - by_seed[1]) / np.sqrt(2))
    assert (rows.loc["mean", "mean_of"], rows.loc["mean", "n_out"]) == ("static;greens", 40)
    assert rows.loc["mean_noise", "auroc"] == pytest.approx(rows.loc["static", "auroc"])
    assert rows.loc["mean_photographs", "mean_of"] == "greens"
    assert rows.loc[["mean", "mean_noise", "mean_photographs"], "base_rate"].isna().all()


def test_noise_rendered_images_and_photographs_have_means_of_their_own():
    sources = {"n1": "noise", "f1": "fabricated", "p1": "photographs", "n2": "noise"}
    groups = mean_groups(PREPARED.model_copy(update={"ood": tuple(sources), "sources": sources}))
    assert {name: list(members) for name, members in groups.items()} == {
        "mean": ["n1", "f1", "p1", "n2"],
        "mean_noise": ["n1", "n2"],
        "mean_fabricated": ["f1"],
        "mean_photographs": ["p1"],
    }
    alone = PREPARED.model_copy(update={"ood": ("p1",), "sources": {"p1": "photographs"}})
    assert list(mean_groups(alone)) == ["mean"]


@pytest.mark.parametrize(("reporting", "expected"), [(REPORTING, 15 / 55), (IN_DIST, 40 / 55)])
def test_the_base_rate_is_the_share_of_the_positive_class(reporting, expected):
    row = table(fabricated(), reporting).set_index("ood_set").loc["static"]
    assert row["base_rate"] == pytest.approx(expected)
    assert row["positive_class"] == reporting.positive_class
    assert (row["n_in"], row["n_out"]) == (40, 15)


def test_values_under_one_half_are_shown_as_they_are():
    assert table(fabricated(shift=-1.0))["auroc"].max() < 0.5


def test_a_gap_has_its_reason_in_every_row_and_no_number():
    assert measured(gap()).empty
    rows = table(gap(), BOTH)
    assert len(rows) == 2 * 5
    assert set(rows["gap"]) == {REASON}
    spread = [f"{metric}_{kind}" for metric in METRICS for kind in ("sd", "low", "high")]
    assert rows[[*METRICS, *spread, "distinct_scores"]].isna().all(axis=None)
    assert rows["n_out"].tolist() == [15, 25, 40, 15, 25] * 2


# Intervals


@pytest.mark.parametrize("reporting", [REPORTING, IN_DIST])
def test_every_row_has_bounds_around_its_value(reporting):
    rows = table(fabricated(), reporting).set_index("ood_set")
    for metric in METRICS:
        low, high = rows[f"{metric}_low"], rows[f"{metric}_high"]
        assert ((low < rows[metric]) & (high > rows[metric]) & low.ge(0) & high.le(1)).all()
        assert low["mean_noise"] == pytest.approx(low["static"])


def test_the_bounds_of_one_seed_are_those_of_its_scores_and_of_a_mean_narrower():
    scores = fabricated(seeds=(0,))
    rows = table(scores).set_index("ood_set")
    expected = metric_intervals(*pair(scores, 0, "static"))
    assert tuple(rows.loc["static", ["auroc_low", "auroc_high"]]) == expected.auroc
    assert tuple(rows.loc["static", ["fpr95_low", "fpr95_high"]]) == expected.fpr
    width = rows["auroc_high"] - rows["auroc_low"]
    # The in-distribution images are the same in both sets: more than the width of two independent ones.
    independent = np.hypot(width["static"], width["greens"]) / 2
    assert independent < width["mean"] < (width["static"] + width["greens"]) / 2


# Ties


def test_equal_detectors_are_tied_a_useless_one_is_not_and_means_are_never_marked():
    good = fabricated("msp", shift=4.0)
    marked = ties(good, of_frame("energy", good.frame), fabricated("max_logit", shift=0.0, seed=1), gap())
    for ood_set in ("static", "greens"):
        for column in TIED:
            assert marked.loc[("msp", ood_set), column] is True
            assert marked.loc[("energy", ood_set), column] is True
            assert marked.loc[("kl_matching", ood_set), column] is not True
        assert marked.loc[("max_logit", ood_set), "auroc_tied"] is False
        assert marked.loc[("max_logit", ood_set), "aupr_tied"] is False
    means = marked.reset_index()
    assert means.loc[means["ood_set"].str.startswith("mean"), TIED].isna().all(axis=None)
    assert ties(gap())[TIED].isna().all(axis=None)


def test_the_best_at_accepting_in_distribution_images_is_the_best_under_that_positive_class():
    marked = ties(fabricated("msp", 4.0), fabricated("energy", -4.0, 1), reporting=IN_DIST)
    assert marked.loc[("msp", "static"), "auroc_tied"] is True
    assert marked.loc[("energy", "static"), "auroc_tied"] is False


def test_ties_are_marked_for_each_positive_class():
    good, bad = fabricated(shift=3.0), fabricated("max_logit", shift=0.0)
    both = ties(good, bad, reporting=BOTH)
    for given in (IN_DIST, REPORTING):
        found = both[both["positive_class"] == given.positive_class]
        pd.testing.assert_frame_equal(found, ties(good, bad, reporting=given))


def test_a_lead_in_one_seed_of_two_is_no_proof():
    first, second = fabricated("msp", 4.0), fabricated("energy", 4.0)
    # Seed 0: energy is worthless. Seed 1: both are equal.
    lost = (second.frame["seed"] == 0) & (second.frame["image_set"] != "test")
    second.frame.loc[lost, "score"] = -9.0
    assert ties(first, second).loc[("energy", "static"), "auroc_tied"] is True
    alone = [of_frame(one.detector, one.frame[one.frame["seed"] == 0], (0,)) for one in (first, second)]
    assert ties(*alone).loc[("energy", "static"), "auroc_tied"] is False


def test_where_a_class_has_a_single_image_nothing_is_marked():
    lone = [fabricated(name, 2.0, seed) for name, seed in (("msp", 0), ("energy", 1))]
    kept = [one.frame[(one.frame["image_set"] != "static") | one.frame["id"].eq("static/0")] for one in lone]
    marked = ties(*(of_frame(one.detector, frame) for one, frame in zip(lone, kept, strict=True)))
    assert marked.loc[("msp", "static"), TIED].isna().all()
    assert marked.loc[("msp", "greens"), "auroc_tied"] in (True, False)
