"""Our number is found where it is, nowhere else, and a gap says what makes it."""

import numpy as np
import pandas as pd
import pytest
from report.paper.fabricated import comparison, records, results
from scaling_ood.records import METRICS

from scaling_ood.report.paper import COMPARISON_COLUMNS, compare, places_of, published_numbers, typed


def pick(frame, **values):
    rows = frame
    for name, value in values.items():
        rows = rows[rows[name] == value]
    return rows


def one(frame, **values):
    rows = pick(frame, **values)
    assert len(rows) == 1
    return rows.iloc[0]


BLOBS = {"table": "5", "in_dist": "ImageNet", "row": "Blobs", "detector": "msp", "metric": "auroc"}


def test_ours_stands_beside_the_published_number_in_points():
    row = one(comparison(), **BLOBS)
    assert (row["published"], row["decimals"]) == (80.0, 0)
    assert row["ours"] == pytest.approx(80.3)
    assert row["difference"] == pytest.approx(0.3)
    assert row["agrees"]
    assert (row["benchmark"], row["setting"], row["aggregation"]) == ("imagenet_1k", "multi_class", "pooled")
    assert (row["architecture"], row["gap"], row["command"]) == ("a_network", "", "")
    assert (row["n_in_least"], row["n_out_most"], row["base_rate_least"]) == (4000, 1000, 0.2)


def test_agreement_is_a_matter_of_the_printed_digits():
    row = one(comparison(), table="1", in_dist="Places365", detector="msp", metric="fpr95")
    # Table 5's rows are 10, 20, 59, 86, 88; each of ours is 0.3 higher.
    assert row["ours"] == pytest.approx(np.mean([10, 20, 59, 86, 88]) + 0.3)
    assert row["difference"] == pytest.approx(row["ours"] - 52.6)
    assert not row["agrees"]


def test_a_mean_of_ours_is_over_exactly_the_sets_of_the_printed_one():
    frame = comparison()
    without_blobs = one(frame, table="1", in_dist="ImageNet", detector="msp", metric="auroc")
    whole = one(frame, table="5", in_dist="ImageNet", row="Mean", detector="msp", metric="auroc")
    assert without_blobs["ours"] == pytest.approx(np.mean([100, 89, 80, 75, 79]) + 0.3)
    assert whole["ours"] == pytest.approx(np.mean([100, 89, 80, 80, 75, 79]) + 0.3)
    assert "blobs" not in without_blobs["mean_of"]


def test_a_mean_with_a_set_missing_is_a_gap_that_names_it():
    table = results()
    row = one(
        compare(table[table["ood_set"] != "lsun"]),
        table="5",
        in_dist="ImageNet",
        row="Mean",
        detector="msp",
        metric="aupr",
    )
    assert np.isnan(row["ours"])
    assert row["gap"] == "imagenet_1k, msp: no row for lsun (pooled, positive class ood)"
    assert row["command"] == "kedro run --env imagenet_1k"


def test_the_spread_over_seeds_is_taken_from_rows_and_from_the_very_mean():
    table = results(("places365",))
    sets = "gaussian;rademacher;blobs;textures;places69"
    mean = table[(table["detector"] == "msp") & (table["ood_set"] == "blobs")].assign(
        ood_set="mean", mean_of=sets, auroc_sd=0.02, auroc_low=0.5, auroc_high=0.75
    )
    table.loc[table["ood_set"] == "blobs", "auroc_sd"] = 0.01
    frame = compare(pd.concat([table, mean]))
    fixed = {"table": "5", "in_dist": "Places365", "detector": "msp", "metric": "auroc"}
    assert one(frame, row="Blobs", **fixed)["ours_sd"] == pytest.approx(1.0)
    assert one(frame, row="Mean", **fixed)["ours_sd"] == pytest.approx(2.0)
    assert one(frame, row="Mean", **fixed)[["ours_low", "ours_high"]].tolist() == pytest.approx([50.0, 75.0])
    assert one(frame, row="Textures", **fixed)[["ours_sd", "ours_low", "ours_high"]].isna().all()


def test_rows_of_the_other_positive_class_and_aggregation_are_left_aside():
    table = results(("voc", "streethazards"))
    wrong = {"fpr95": 0.0, "auroc": 0.0, "aupr": 0.0}
    voc = table[table["benchmark"] == "voc"].assign(positive_class="ood", **wrong)
    street = table[table["benchmark"] == "streethazards"].assign(aggregation="pooled", **wrong)
    assert compare(pd.concat([voc, street, table])).equals(compare(table))


def test_where_the_paper_does_not_say_how_pixels_are_averaged_there_are_both():
    rows = pick(comparison(), table="6", in_dist="Road Anomaly", detector="msp", metric="aupr")
    assert list(rows["aggregation"]) == ["per_image", "pooled"]
    assert set(rows["published"]) == {20.6}


def test_the_mean_over_a_single_set_has_that_sets_base_rate():
    table = results(("voc",)).assign(ood_set="twenty_classes", mean_of="")
    mean = table.assign(ood_set="mean", mean_of="twenty_classes", base_rate=np.nan)
    row = one(compare(pd.concat([mean, table])), table="3", in_dist="PASCAL VOC", detector="msp", metric="aupr")
    assert row["base_rate_most"] == 0.2
    assert row["ours"] == pytest.approx(65.8)


def test_a_mean_over_sets_that_the_paper_does_not_list_says_over_which():
    mean = results(("cifar10",)).assign(mean_of="svhn;lsun", base_rate=np.nan)
    row = one(compare(mean), in_dist="CIFAR-10", detector="msp")
    assert row["mean_of"] == "svhn;lsun"
    assert row["ours"] == pytest.approx(90.38)


def test_a_reason_of_the_results_is_passed_on_and_no_command_fills_it():
    table = results(("imagenet_1k",))
    kl = table["detector"] == "kl_matching"
    table.loc[kl, [*METRICS]] = np.nan
    table = table.assign(gap=np.where(kl, "not applicable: too few fit images", None))
    row = one(compare(table), table="5", in_dist="ImageNet", row="LSUN", detector="kl_matching", metric="auroc")
    assert row["gap"] == "imagenet_1k, kl_matching: not applicable: too few fit images"
    assert row["command"] == ""
    assert one(compare(table), **BLOBS)["gap"] == ""


def test_a_reason_for_one_set_leaves_the_others_alone():
    table = results(("imagenet_1k",))
    here = (table["detector"] == "msp") & (table["ood_set"] == "blobs")
    frame = compare(table.assign(gap=np.where(here, "one class missing", None)))
    assert one(frame, **BLOBS)["gap"] == "imagenet_1k, msp: one class missing"
    assert one(frame, **(BLOBS | {"row": "LSUN"}))["gap"] == ""
    assert one(frame, **(BLOBS | {"row": "Mean"}))["gap"] == "imagenet_1k, msp: one class missing"


def test_a_detector_without_rows_is_a_gap():
    table = results(("imagenet_1k",))
    frame = compare(table[table["detector"] != "odin_max_logit"])
    row = one(frame, table="text", in_dist="ImageNet", detector="odin_max_logit", metric="auroc")
    assert (row["gap"], row["command"]) == (
        "the results of imagenet_1k have no odin_max_logit",
        "kedro run --env imagenet_1k",
    )


def test_without_any_results_everything_is_a_gap_with_its_command():
    frame = compare(pd.DataFrame())
    assert list(frame.columns) == list(COMPARISON_COLUMNS)
    assert frame["ours"].isna().all()
    assert (frame["gap"] != "").all()
    assert (frame["command"].str.startswith("kedro run --env ")).all()
    assert one(frame, **BLOBS)["gap"] == "imagenet_1k has not been run"
    assert one(frame, in_dist="COCO", metric="map")["command"] == "kedro run --env coco"
    prepared = one(frame, table="7", row="Fish", metric="images")
    assert prepared["gap"] == "species_tresnet_m has not been prepared"
    assert prepared["command"] == "kedro run --env species_tresnet_m --pipelines data_preparation"


def test_another_rule_for_fpr95_is_a_gap_and_the_other_metrics_stay():
    frame = compare(results(("imagenet_1k",)).assign(fpr_rule="first"))
    assert "another rule" in one(frame, **(BLOBS | {"metric": "fpr95"}))["gap"]
    assert one(frame, **BLOBS)["gap"] == ""


def test_a_metric_without_a_value_is_a_gap():
    frame = compare(results(("imagenet_1k",)).assign(auroc=np.nan))
    assert one(frame, **BLOBS)["gap"] == "imagenet_1k, msp: the results hold no auroc"


def test_two_rows_for_one_number_are_refused():
    table = results(("imagenet_1k",))
    with pytest.raises(ValueError, match="imagenet_1k have 2 rows for detector 'msp' on 'gaussian'"):
        compare(pd.concat([table, table]))


def test_a_number_that_is_missing_in_print_has_ours_and_no_difference():
    row = one(comparison(), table="2", model="MLP Mixer", row="Fish", detector="max_logit")
    assert np.isnan(row["published"])
    assert row["ours"] == pytest.approx(60.3)
    assert np.isnan(row["difference"])
    assert row["gap"] == ""


def test_sizes_and_mean_average_precision_come_from_the_facts():
    frame = comparison()
    assert one(frame, table="7", row="Fish", metric="images")["ours"] == 111377
    total = one(frame, table="7", row="Total", metric="images")
    assert (total["ours"], total["difference"], total["agrees"]) == (714379, 0, True)
    voc = one(frame, in_dist="PASCAL VOC", metric="map")
    assert voc["ours"] == pytest.approx(88.6)
    assert voc["difference"] == pytest.approx(-0.51)
    share = one(frame, metric="anomalous_share")
    assert share["ours"] == pytest.approx(0.834)
    assert share["agrees"]


def test_a_set_that_was_not_prepared_is_a_gap_that_names_it():
    preparations = records()["preparations"]
    del preparations["species_tresnet_m", "multi_class"]["images"]["fungi"]
    frame = compare(pd.DataFrame(), preparations=preparations)
    assert one(frame, table="7", row="Total", metric="images")["gap"] == "species_tresnet_m was prepared without fungi"


def test_classes_are_those_that_were_counted():
    (place,) = places_of("classes")
    frame = compare(pd.DataFrame(), class_counts={place: {"fish": 2, "test": 1}})
    row = one(frame, table="7", row="Fish", metric="classes")
    assert (row["ours"], row["difference"]) == (2, -206)


def test_benchmarks_without_such_records_have_gaps():
    place = ("voc", "multi_label")
    frame = compare(pd.DataFrame(), qualities={place: {"top1": 0.4}}, preparations={place: {"images": {"test": 3}}})
    assert one(frame, in_dist="PASCAL VOC", metric="map")["gap"] == "voc records no map"


def test_results_of_before_a_column_was_added_are_enough():
    table = results(("imagenet_1k",))
    fewer = table.drop(columns=["skipped", "gap", "mean_of", "seeds", "auroc_sd", "fpr_rule"])
    assert one(compare(fewer), **BLOBS)["ours"] == pytest.approx(80.3)


def test_benchmarks_that_the_paper_does_not_have_change_nothing():
    table = results(("imagenet_1k",))
    assert compare(pd.concat([table, table.assign(benchmark="miniature")])).equals(compare(table))


def test_every_published_number_is_there_in_the_order_of_print():
    frame = comparison()
    keys = ["table", "in_dist", "model", "row", "column", "detector", "metric"]
    printed = [tuple(getattr(number, key) for key in keys) for number in published_numbers()]
    assert list(dict.fromkeys(frame[keys].itertuples(index=False, name=None))) == printed


def test_a_comparison_survives_a_file(tmp_path):
    for frame in (comparison(), comparison(()), comparison(("imagenet_1k", "road_anomaly"))):
        frame.to_csv(tmp_path / "comparison.csv", index=False)
        read = typed(pd.read_csv(tmp_path / "comparison.csv"))
        pd.testing.assert_frame_equal(read, typed(frame), check_dtype=False)
