"""Scores to tables: the numbers of independent references, gaps, means, seeds and ties."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from pipelines_toys import DETECTORS, EXTRACTION, IDENTITY, NETWORKS, RUNTIME
from scaling_ood.pipelines.metric_reporting.examples import low_confidence_examples
from scaling_ood.pipelines.metric_reporting.facts import detector_run, report_facts
from scaling_ood.pipelines.metric_reporting.granularity import compare_labels
from scaling_ood.pipelines.metric_reporting.tables import mark_ties, mean_groups, measure_scores, summarise
from scaling_ood.plans import StaleProductError
from scaling_ood.preparation import Preparation
from scaling_ood.records import METRICS, RESULT_COLUMNS
from scaling_ood.scores import Scores
from sklearn.metrics import average_precision_score, roc_auc_score
from toy_benchmark import model_spec, preparation

from scaling_ood import structure
from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.metrics import detection_metrics, metric_intervals
from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.parameters.data_sets import DataSets, DataSpec
from scaling_ood.parameters.multi_class import ModelSpec
from scaling_ood.pipelines import metric_reporting as stage
from scaling_ood.pipelines.metric_reporting.nodes import measure_detector
from scaling_ood.pipelines.score_extraction.nodes import StoredOutputs, fit_and_score

SETS = {"test": 40, "static": 15, "greens": 25}
REPORTING = ReportingSpec()
IN_DIST = ReportingSpec(positive_class="in_dist")
PREPARED = preparation(images={"train": 24, "fit": 20, **SETS})
REGISTERED = {"architecture": "small_resnet", "training": "network", "labels": ("fine",)}
SPEC = model_spec(**REGISTERED, seeds=(0, 1))
ONE_SEED = model_spec(**REGISTERED)


def fabricated(
    detector: str = "msp", shift: float = 1.0, seed: int = 0, spec: ModelSpec = SPEC, decimals: int = 1
) -> Scores:
    """Rounded normal scores with ties; OOD ones are higher by `shift`."""
    rng = np.random.default_rng(seed)
    blocks = []
    for labels in spec.labels:
        for model_seed in spec.seeds:
            for name, count in SETS.items():
                values = np.round(rng.normal(0 if name == "test" else shift, 1, count), decimals)
                ids = [f"{name}/{index}" for index in range(count)]
                blocks.append(
                    pd.DataFrame({"id": ids, "score": values, "image_set": name, "labels": labels, "seed": model_seed})
                )
    return Scores(detector, {}, "key", pd.concat(blocks, ignore_index=True), {}, {}, 10.0)


def gap(detector: str = "kl_matching", spec: ModelSpec = SPEC) -> Scores:
    reason = "not applicable: too few fit images"
    return Scores(detector, {}, "key", fabricated().frame.iloc[:0], dict.fromkeys(spec.labels, reason), {}, 0.0)


def table(scores: Scores, reporting: ReportingSpec = REPORTING, prepared: Preparation = PREPARED) -> pd.DataFrame:
    metrics = measure_scores(scores, prepared, SPEC, reporting)
    return summarise(metrics, scores, prepared, SPEC, reporting, IDENTITY)


def pair(scores: Scores, seed: int, ood_set: str) -> tuple[np.ndarray, np.ndarray]:
    rows = scores.frame[(scores.frame["seed"] == seed) & scores.frame["image_set"].isin(["test", ood_set])]
    return rows["score"].to_numpy(), (rows["image_set"] == ood_set).to_numpy()


def test_there_is_one_row_of_metrics_per_classifier_and_ood_set() -> None:
    metrics = measure_scores(fabricated(), PREPARED, SPEC, REPORTING)
    keys = list(metrics[["labels", "seed", "ood_set"]].itertuples(index=False, name=None))
    assert keys == [("fine", seed, name) for seed in (0, 1) for name in ("static", "greens")]
    assert metrics["n_in"].tolist() == [40] * 4
    assert metrics["n_out"].tolist() == [15, 25] * 2


def test_with_ood_as_positive_class_auroc_and_aupr_are_those_of_scikit_learn() -> None:
    scores = fabricated()
    for row in measure_scores(scores, PREPARED, SPEC, REPORTING).itertuples():
        score, is_ood = pair(scores, row.seed, row.ood_set)
        assert row.auroc == pytest.approx(roc_auc_score(is_ood, score), abs=1e-12)
        assert row.aupr == pytest.approx(average_precision_score(is_ood, score), abs=1e-12)


def test_with_in_distribution_as_positive_class_auroc_is_the_same_and_aupr_is_of_the_negated_scores() -> None:
    scores = fabricated()
    ood, known = (measure_scores(scores, PREPARED, SPEC, given) for given in (REPORTING, IN_DIST))
    np.testing.assert_allclose(known["auroc"], ood["auroc"], atol=1e-12)
    for row in known.itertuples():
        score, is_ood = pair(scores, row.seed, row.ood_set)
        assert row.aupr == pytest.approx(average_precision_score(~is_ood, -score), abs=1e-12)
    assert not np.allclose(known["aupr"], ood["aupr"])


@pytest.mark.parametrize("reporting", [REPORTING, IN_DIST, ReportingSpec(fpr_rule="first")])
def test_all_three_metrics_are_those_of_detection_metrics_called_by_hand(reporting: ReportingSpec) -> None:
    scores = fabricated()
    for row in measure_scores(scores, PREPARED, SPEC, reporting).itertuples():
        score, is_ood = pair(scores, row.seed, row.ood_set)
        if reporting.positive_class == "in_dist":
            score, is_ood = -score, ~is_ood
        expected = detection_metrics(score, is_ood, fpr_rule=reporting.fpr_rule)
        assert (row.auroc, row.aupr, row.fpr95) == tuple(expected)


def test_both_positive_classes_are_the_two_tables_one_after_the_other() -> None:
    scores = fabricated()
    both = table(scores, ReportingSpec(positive_class="both"))
    alone = pd.concat([table(scores, given) for given in (IN_DIST, REPORTING)], ignore_index=True)
    pd.testing.assert_frame_equal(both, alone)


def test_ties_are_marked_for_each_positive_class() -> None:
    reporting = ReportingSpec(positive_class="both")
    good, bad = fabricated(shift=3.0), fabricated("max_logit", shift=0.0)
    results = pd.concat([table(one, reporting) for one in (good, bad)], ignore_index=True)
    both = mark_ties(results, [good, bad], PREPARED, SPEC, reporting)
    for given in (IN_DIST, REPORTING):
        own = pd.concat([table(one, given) for one in (good, bad)], ignore_index=True)
        expected = mark_ties(own, [good, bad], PREPARED, SPEC, given)
        found = both[both["positive_class"] == given.positive_class].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected)


def test_in_distribution_as_positive_class_flags_the_in_distribution_at_the_recall() -> None:
    scores = fabricated(shift=10.0)
    frame = scores.frame
    # Two OOD images look like the 40 in-distribution ones: 2 of 15 are accepted at any recall of the latter.
    frame.loc[frame.index[frame["image_set"] == "static"][:2], "score"] = -9.0
    known = measure_scores(scores, PREPARED, SPEC, IN_DIST)
    assert known.loc[(known["seed"] == 0) & (known["ood_set"] == "static"), "fpr95"].item() == pytest.approx(2 / 15)


def test_distinct_scores_are_counted() -> None:
    scores = fabricated(decimals=0)
    row = measure_scores(scores, PREPARED, SPEC, REPORTING).iloc[0]
    assert row["distinct_scores"] == len(set(pair(scores, 0, "static")[0].tolist()))


def test_infinite_scores_are_counted() -> None:
    scores = fabricated()
    for seed, count in ((0, 2), (1, 3)):
        rows = scores.frame[(scores.frame["seed"] == seed) & (scores.frame["image_set"] == "static")].index[:count]
        scores.frame.loc[rows, "score"] = np.inf
    metrics = measure_scores(scores, PREPARED, SPEC, REPORTING)
    found = metrics[metrics["ood_set"] == "static"].set_index("seed")["infinite_scores"]
    assert found.to_dict() == {0: 2, 1: 3}
    rows = table(scores).set_index("ood_set")["infinite_scores"]
    assert rows["static"] == 3
    assert rows.drop("static").fillna(0).eq(0).all()


def test_an_empty_ood_set_is_an_error_that_names_detector_and_set() -> None:
    scores = fabricated()
    without = Scores("msp", {}, "key", scores.frame[scores.frame["image_set"] != "greens"], {}, {}, 1.0)
    with pytest.raises(ValueError, match="detector msp, OOD set greens: Ranking metrics need both classes"):
        measure_scores(without, PREPARED, SPEC, REPORTING)


def test_a_nan_in_stored_scores_is_never_measured() -> None:
    scores = fabricated()
    scores.frame.loc[3, "score"] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        measure_scores(scores, PREPARED, SPEC, REPORTING)


def test_the_table_has_the_public_columns_and_rows_for_sets_and_means() -> None:
    rows = table(fabricated())
    assert tuple(rows.columns) == RESULT_COLUMNS
    assert rows["ood_set"].tolist() == ["static", "greens", "mean", "mean_noise", "mean_photographs"]
    assert set(rows["detector"]) == {"msp"}
    assert set(rows["aggregation"]) == {"pooled"}
    assert set(rows["gap"]) == {""}
    assert rows["noise_range"].tolist()[:2] == ["pixel", ""]
    assert rows["ood_source"].tolist()[:2] == ["noise", "photographs"]


def test_metrics_of_several_seeds_are_their_mean_with_the_sample_standard_deviation() -> None:
    scores = fabricated()
    metrics = measure_scores(scores, PREPARED, SPEC, REPORTING)
    row = table(scores).set_index("ood_set").loc["greens"]
    for metric in METRICS:
        one, other = metrics.loc[metrics["ood_set"] == "greens", metric]
        assert row[metric] == pytest.approx((one + other) / 2)
        assert row[f"{metric}_sd"] == pytest.approx(abs(one - other) / np.sqrt(2))
    assert row["seeds"] == 2


def test_one_seed_has_no_standard_deviation() -> None:
    scores = fabricated(spec=ONE_SEED)
    metrics = measure_scores(scores, PREPARED, ONE_SEED, REPORTING)
    rows = summarise(metrics, scores, PREPARED, ONE_SEED, REPORTING, IDENTITY)
    assert rows[[f"{metric}_sd" for metric in METRICS]].isna().all(axis=None)
    assert rows["auroc"].notna().all()


def test_a_mean_is_unweighted_over_exactly_the_sets_that_it_names_and_its_spread_is_over_seeds() -> None:
    scores = fabricated()
    metrics = measure_scores(scores, PREPARED, SPEC, REPORTING)
    rows = table(scores).set_index("ood_set")
    by_seed = [metrics.loc[metrics["seed"] == seed, "auroc"].to_numpy().sum() / 2 for seed in (0, 1)]
    assert rows.loc["mean", "auroc"] == pytest.approx(sum(by_seed) / 2)
    assert rows.loc["mean", "auroc_sd"] == pytest.approx(abs(by_seed[0] - by_seed[1]) / np.sqrt(2))
    assert rows.loc["mean", "mean_of"] == "static;greens"
    assert rows.loc["mean", "n_out"] == 40
    assert rows.loc["mean_noise", "auroc"] == pytest.approx(rows.loc["static", "auroc"])
    assert rows.loc["mean_photographs", "mean_of"] == "greens"
    assert rows.loc[["mean", "mean_noise", "mean_photographs"], "base_rate"].isna().all()


def test_noise_rendered_images_and_photographs_have_means_of_their_own() -> None:
    names = ("n1", "f1", "p1", "n2")
    sources = {"n1": "noise", "n2": "noise", "f1": "fabricated", "p1": "photographs"}
    groups = mean_groups(PREPARED.model_copy(update={"ood": names, "sources": sources}))
    assert {name: list(members) for name, members in groups.items()} == {
        "mean": ["n1", "f1", "p1", "n2"],
        "mean_noise": ["n1", "n2"],
        "mean_fabricated": ["f1"],
        "mean_photographs": ["p1"],
    }
    alone = PREPARED.model_copy(update={"ood": ("p1",), "sources": {"p1": "photographs"}})
    assert list(mean_groups(alone)) == ["mean"]


@pytest.mark.parametrize(("reporting", "expected"), [(REPORTING, 15 / 55), (IN_DIST, 40 / 55)])
def test_the_base_rate_is_the_share_of_the_positive_class(reporting: ReportingSpec, expected: float) -> None:
    row = table(fabricated(), reporting).set_index("ood_set").loc["static"]
    assert row["base_rate"] == pytest.approx(expected)
    assert row["positive_class"] == reporting.positive_class
    assert (row["n_in"], row["n_out"]) == (40, 15)


def test_values_under_one_half_are_shown_as_they_are() -> None:
    assert table(fabricated(shift=-1.0))["auroc"].max() < 0.5


def test_a_gap_has_its_reason_in_every_row_and_no_number() -> None:
    assert measure_scores(gap(), PREPARED, SPEC, REPORTING).empty
    rows = table(gap())
    assert len(rows) == 5
    assert set(rows["gap"]) == {"not applicable: too few fit images"}
    assert rows[[*METRICS, *(f"{metric}_sd" for metric in METRICS), "distinct_scores"]].isna().all(axis=None)
    assert rows["n_out"].tolist() == [15, 25, 40, 15, 25]


def ties(*scores: Scores, reporting: ReportingSpec = REPORTING, prepared: Preparation = PREPARED) -> pd.DataFrame:
    rows = pd.concat([table(one, reporting) for one in scores], ignore_index=True)
    return mark_ties(rows, scores, prepared, SPEC, reporting).set_index(["detector", "ood_set"])


def test_equal_detectors_are_tied_and_a_useless_one_is_not() -> None:
    good = fabricated("msp", shift=4.0)
    twin = Scores("energy", {}, "key", good.frame, {}, {}, 1.0)
    marked = ties(good, twin, fabricated("max_logit", shift=0.0, seed=1))
    for ood_set in ("static", "greens"):
        for metric in METRICS:
            assert marked.loc[("msp", ood_set), f"{metric}_tied"] is True
            assert marked.loc[("energy", ood_set), f"{metric}_tied"] is True
        assert marked.loc[("max_logit", ood_set), "auroc_tied"] is False
        assert marked.loc[("max_logit", ood_set), "aupr_tied"] is False


def test_the_best_at_accepting_in_distribution_images_is_the_best_under_that_positive_class() -> None:
    marked = ties(fabricated("msp", 4.0), fabricated("energy", -4.0, 1), reporting=IN_DIST)
    assert marked.loc[("msp", "static"), "auroc_tied"] is True
    assert marked.loc[("energy", "static"), "auroc_tied"] is False


def test_means_are_never_marked() -> None:
    marked = ties(fabricated("msp", 4.0), fabricated("energy", 0.0, 1)).reset_index()
    means = marked[marked["ood_set"].str.startswith("mean")]
    assert means[[f"{metric}_tied" for metric in METRICS]].isna().all(axis=None)


@pytest.mark.parametrize("reporting", [REPORTING, IN_DIST])
def test_every_row_has_bounds_around_its_value_and_a_gap_has_none(reporting: ReportingSpec) -> None:
    rows = table(fabricated(), reporting).set_index("ood_set")
    for metric in METRICS:
        low, high = rows[f"{metric}_low"], rows[f"{metric}_high"]
        assert (low < rows[metric]).all()
        assert (high > rows[metric]).all()
        assert low.ge(0).all()
        assert high.le(1).all()
        assert low["mean_noise"] == pytest.approx(low["static"])
    bounds = [f"{metric}_{side}" for metric in METRICS for side in ("low", "high")]
    assert table(gap())[bounds].isna().all(axis=None)


def test_the_bounds_of_one_seed_are_those_of_its_scores_and_of_a_mean_narrower() -> None:
    scores = fabricated(spec=ONE_SEED)
    metrics = measure_scores(scores, PREPARED, ONE_SEED, REPORTING)
    rows = summarise(metrics, scores, PREPARED, ONE_SEED, REPORTING, IDENTITY).set_index("ood_set")
    expected = metric_intervals(*pair(scores, 0, "static"))
    assert tuple(rows.loc["static", ["auroc_low", "auroc_high"]]) == expected.auroc
    assert tuple(rows.loc["static", ["fpr95_low", "fpr95_high"]]) == expected.fpr
    width = rows["auroc_high"] - rows["auroc_low"]
    # The in-distribution images are the same in both sets: more than the width of two independent ones.
    independent = np.hypot(width["static"], width["greens"]) / 2
    assert independent < width["mean"] < (width["static"] + width["greens"]) / 2


def test_gaps_are_left_out_of_the_comparison() -> None:
    marked = ties(gap("kl_matching"), fabricated("msp", 4.0))
    assert marked.loc[("kl_matching", "static"), "auroc_tied"] is not True
    assert marked.loc[("msp", "static"), "auroc_tied"] is True
    only = ties(gap("kl_matching"))
    assert only[[f"{metric}_tied" for metric in METRICS]].isna().all(axis=None)


def test_a_lead_in_one_seed_of_two_is_no_proof() -> None:
    first, second = fabricated("msp", 4.0), fabricated("energy", 4.0)
    # Seed 0: energy is worthless. Seed 1: both are equal.
    lost = (second.frame["seed"] == 0) & (second.frame["image_set"] != "test")
    second.frame.loc[lost, "score"] = -9.0
    second.frame.loc[second.frame["seed"] == 1, "score"] = first.frame.loc[first.frame["seed"] == 1, "score"]
    marked = ties(first, second)
    assert marked.loc[("energy", "static"), "auroc_tied"] is True
    rows = pd.concat([table(one) for one in (first, second)], ignore_index=True)
    alone = mark_ties(rows, [first, second], PREPARED, ONE_SEED, REPORTING).set_index(["detector", "ood_set"])
    assert alone.loc[("energy", "static"), "auroc_tied"] is False


def test_where_a_class_has_a_single_image_nothing_is_marked() -> None:
    lone = [fabricated(name, 2.0, seed) for name, seed in (("msp", 0), ("energy", 1))]
    kept = [one.frame[(one.frame["image_set"] != "static") | one.frame["id"].eq("static/0")] for one in lone]
    scores = [Scores(one.detector, {}, "key", frame, {}, {}, 1.0) for one, frame in zip(lone, kept, strict=True)]
    marked = ties(*scores)
    for metric in METRICS:
        assert pd.isna(marked.loc[("msp", "static"), f"{metric}_tied"])
    assert marked.loc[("msp", "greens"), "auroc_tied"] in (True, False)


class Kept(MemoryDataset):
    """Still there when the runner has no further use for it."""

    def _release(self) -> None:
        pass


# From here on, on the outputs of a real model.


@pytest.fixture(scope="module")
def scored(
    outputs: StoredShards,
    accuracy: dict[str, Any],
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
) -> dict[str, Scores]:
    return {
        name: fit_and_score(
            outputs, accuracy, manifest, preparation, spec, NETWORKS, EXTRACTION, DETECTORS, IDENTITY, options, name
        )
        for name, options in DETECTORS.items()
    }


def measured(
    scores: Scores, preparation: dict[str, Any], spec: ModelSpec, **changes: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    given = {"options": DETECTORS[scores.detector], "reporting": REPORTING} | changes
    return measure_detector(
        scores,
        preparation,
        spec,
        NETWORKS,
        EXTRACTION,
        DETECTORS,
        given["reporting"],
        IDENTITY,
        given["options"],
        scores.detector,
    )


def test_stale_scores_are_refused_with_the_command_that_renews_them(
    scored: dict[str, Scores], preparation: dict[str, Any], spec: ModelSpec
) -> None:
    measured(scored["energy"], preparation, spec)
    with pytest.raises(StaleProductError, match=r"kedro run --to-outputs multi_class\.energy\.scores"):
        measured(scored["energy"], preparation, spec, options={"temperature": 3.0})
    with pytest.raises(StaleProductError, match=r"multi_class\.energy\.scores is stale"):
        measured(scored["energy"], preparation, spec.model_copy(update={"epochs": 50}))


def test_the_run_of_a_detector_has_flat_parameters_and_metrics_per_set_and_mean(
    scored: dict[str, Scores],
    outputs: StoredShards,
    accuracy: dict[str, Any],
    preparation: dict[str, Any],
    spec: ModelSpec,
) -> None:
    prepared = Preparation.model_validate(preparation)
    metrics, results = measured(scored["energy"], preparation, spec)
    run = detector_run(
        scored["energy"],
        metrics,
        results,
        outputs,
        accuracy,
        prepared,
        {"run_id": "abc"},
        spec,
        REPORTING,
        IDENTITY,
    )
    assert run.name == "multi_class.energy"
    assert run.tags["training_run"] == "abc"
    assert run.tags["kind"] == "detector"
    assert run.parameters["detector.temperature"] == 2.0
    assert all(isinstance(value, str | int | float | bool) for value in run.parameters.values())
    rows = results.set_index("ood_set")
    for ood_set in ("greens", "static", "raw_static", "mean", "mean_noise"):
        assert run.metrics[f"auroc.{ood_set}"] == rows.loc[ood_set, "auroc"]
    coarse = metrics.loc[metrics["labels"] == "coarse", "aupr"]
    assert run.metrics["aupr.coarse.mean"] == pytest.approx(coarse.mean())
    assert run.metrics["top1"] == pytest.approx((accuracy["top1"]["fine_seed0"] + accuracy["top1"]["fine_seed1"]) / 2)
    assert all(np.isfinite(value) for value in run.metrics.values())


def test_the_run_of_a_gap_has_its_reason_as_a_tag_and_no_metric_of_ood_sets(
    outputs: StoredShards, accuracy: dict[str, Any], preparation: dict[str, Any], spec: ModelSpec
) -> None:
    prepared = Preparation.model_validate(preparation)
    none = gap(spec=spec)
    metrics = measure_scores(none, prepared, spec, REPORTING)
    results = summarise(metrics, none, prepared, spec, REPORTING, IDENTITY)
    run = detector_run(none, metrics, results, outputs, accuracy, prepared, {}, spec, REPORTING, IDENTITY)
    assert run.tags["gap"] == "not applicable: too few fit images"
    assert not [name for name in run.metrics if name.startswith(("auroc", "aupr", "fpr95"))]


def test_facts_name_weights_preprocessing_digests_and_conventions(
    model: StoredModel,
    outputs: StoredShards,
    accuracy: dict[str, Any],
    preparation: dict[str, Any],
    spec: ModelSpec,
) -> None:
    prepared = Preparation.model_validate(preparation)
    facts = report_facts(prepared, model, spec, outputs, accuracy, REPORTING, {})
    text = str(facts)
    assert prepared.digests["test"] in text
    assert "made up; frozen, a linear head trained here" in text
    assert "resize 10 px (bilinear), centre crop 8 px, mean (0.5, 0.5, 0.5)" in text
    assert facts["Data"]["Noise raw_static"] == "recipe rademacher, seed 0, noise_range tensor"
    assert facts["Conventions"]["Positive class"] == "ood"


def test_examples_are_the_least_certain_test_images_one_per_class(
    outputs: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec
) -> None:
    prepared = Preparation.model_validate(preparation)
    logits = torch.cat([chunk.logits for chunk in StoredOutputs(outputs, "test", "fine_seed0")]).double()
    top = logits.softmax(dim=1).amax(dim=1).numpy()
    rows = manifest[manifest["image_set"] == "test"].assign(top=top)
    least = rows.sort_values("top").drop_duplicates("class_name").head(3)
    examples = low_confidence_examples(outputs, manifest, prepared, spec, 3)
    assert [example.true_class for example in examples] == [prepared.titles[label] for label in least["label"]]
    for example, expected in zip(examples, least["top"], strict=True):
        assert example.top_probabilities[0][1] == pytest.approx(expected)
        values = [value for _, value in example.top_probabilities]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1.0)
        assert [name for name, _ in example.top_logits] == [name for name, _ in example.top_probabilities]
        assert set(example.groups.values()) == {"blue", "red"}


def test_dispersal_is_the_mass_beside_the_top_class_within_its_group(
    outputs: StoredShards, scored: dict[str, Scores], preparation: dict[str, Any], spec: ModelSpec
) -> None:
    prepared = Preparation.model_validate(preparation)
    metrics = pd.concat([measured(one, preparation, spec)[0].assign(detector=name) for name, one in scored.items()])
    mean, spread = compare_labels(outputs, prepared, metrics, spec)
    expected = []
    for seed in (0, 1):
        logits = torch.cat([chunk.logits for chunk in StoredOutputs(outputs, "greens", f"fine_seed{seed}")])
        for row in logits.double().softmax(dim=1).tolist():
            best = row.index(max(row))
            expected.append(row[best ^ 1])  # groups are (0, 1) and (2, 3): the other one of the pair
    chosen = spread[(spread["labels"] == "fine") & (spread["image_set"] == "greens")]
    assert chosen["dispersal"].item() == pytest.approx(float(np.mean(expected)))
    coarse = spread[spread["labels"] == "coarse"]
    np.testing.assert_allclose(coarse["dispersal"], coarse["arbitrary"])
    assert list(spread.columns) == ["labels", "image_set", "dispersal", "arbitrary"]
    one = metrics[(metrics["labels"] == "coarse") & (metrics["detector"] == "msp") & (metrics["ood_set"] == "greens")]
    row = mean[(mean["labels"] == "coarse") & (mean["detector"] == "msp") & (mean["ood_set"] == "greens")]
    assert row["auroc"].item() == pytest.approx(one["auroc"].mean())


def test_the_whole_stage_runs_on_what_the_others_left(
    scored: dict[str, Scores],
    outputs: StoredShards,
    model: StoredModel,
    accuracy: dict[str, Any],
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    data: DataSpec,
    data_sets: DataSets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = {
        "identity": IDENTITY.model_dump(),
        "data_sets": data_sets.model_dump(),
        "data": data.model_dump(),
        "model": spec.model_dump(),
        "networks": NETWORKS.model_dump(),
        "extraction": EXTRACTION.model_dump(),
        "detectors": DETECTORS,
        "reporting": REPORTING.model_dump(),
    }
    monkeypatch.setattr(structure, "_bound", {"parameters": {"multi_class": setting, "runtime": RUNTIME.model_dump()}})
    graph = stage.create_pipeline()
    given: dict[str, Any] = {
        "outputs": outputs,
        "model": model,
        "accuracy": accuracy,
        "manifest": manifest,
        "preparation": preparation,
        "training_run": {"run_id": "abc"},
        "params:model": spec,
        "params:networks": NETWORKS,
        "params:extraction": EXTRACTION,
        "params:detectors": DETECTORS,
        "params:reporting": REPORTING,
        "params:identity": IDENTITY,
        **{f"params:detectors.{name}": options for name, options in DETECTORS.items()},
        **{f"{name}.scores": scores for name, scores in scored.items()},
    }
    named = {
        (f"params:multi_class.{name[7:]}" if name.startswith("params:") else f"multi_class.{name}"): value
        for name, value in given.items()
    }
    assert graph.inputs() == named.keys()
    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in named.items()}
        | {name: Kept(copy_mode="assign") for name in graph.all_outputs()}
    )
    SequentialRunner().run(graph, catalog)

    results = catalog["multi_class.results"].load()
    assert len(results) == len(DETECTORS) * (3 + 3)
    assert list(dict.fromkeys(results["detector"])) == list(DETECTORS)
    for name in DETECTORS:
        own = measured(scored[name], preparation, spec)[1]
        rows = results[results["detector"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows[["ood_set", *METRICS]], own[["ood_set", *METRICS]])
        assert catalog[f"multi_class.{name}.run"].load().tags["detector"] == name
    assert results.loc[~results["ood_set"].str.startswith("mean"), "auroc_tied"].notna().all()
    assert set(catalog["multi_class.granularity"].load()["labels"]) == {"fine", "coarse"}
    report = catalog["multi_class.report"].load()
    assert report.startswith("<!")
    assert all(name in report for name in DETECTORS)
    assert "kl_matching" in catalog["multi_class.summary"].load()
