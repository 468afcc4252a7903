"""Multi-label scores to tables and runs: both positive classes, gaps, ties, stale scores, and the whole stage."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from label_toys import DETECTORS, EXTRACTION, IDENTITY, REPORTING, RUNTIME, data_sets, data_spec
from scaling_ood.pipelines.metric_reporting.label_nodes import (
    draw_label_figures,
    measure_label_detector,
    record_label_detector,
    write_label_report,
)
from scaling_ood.plans import StaleProductError
from scaling_ood.preparation import Preparation
from scaling_ood.records import METRICS, RESULT_COLUMNS
from sklearn.metrics import average_precision_score, roc_auc_score

from scaling_ood import structure
from scaling_ood.metrics import detection_metrics
from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.pipelines import metric_reporting as stage
from scaling_ood.pipelines.metric_reporting.nodes import collect_results

OOD = ("wild", "static")
POSITIVE = ("in_dist", "ood")


@pytest.fixture(scope="module")
def scored(score):
    return {name: score(name) for name in DETECTORS}


@pytest.fixture(scope="module")
def gap(score):
    """The factor with more neighbours than there are fit images."""
    return score("local_outlier_factor", options={})


@pytest.fixture(scope="module")
def measure(preparation, spec):
    def run(scores, **changes):
        given = {
            "preparation": preparation,
            "spec": spec,
            "extraction": EXTRACTION,
            "detectors": DETECTORS,
            "reporting": REPORTING,
            "identity": IDENTITY,
            "options": scores.options,
            "detector": scores.detector,
        }
        return measure_label_detector(scores, **(given | changes))

    return run


def pair(scores, seed, ood_set):
    rows = scores.frame[(scores.frame["seed"] == seed) & scores.frame["image_set"].isin(["test", ood_set])]
    return rows["score"].to_numpy(), (rows["image_set"] == ood_set).to_numpy()


def test_both_positive_classes_have_a_row_per_detector_and_ood_set_with_their_base_rates(scored, measure):
    for scores in scored.values():
        _, results = measure(scores)
        assert tuple(results.columns) == RESULT_COLUMNS
        rows = results[results["ood_set"].isin(OOD)]
        assert list(zip(rows["positive_class"], rows["ood_set"], strict=True)) == [
            (p, o) for p in POSITIVE for o in OOD
        ]
        rates = rows.set_index(["positive_class", "ood_set"])["base_rate"]
        for ood_set, images in (("wild", 8), ("static", 6)):
            assert rates["in_dist", ood_set] == pytest.approx(13 / (13 + images))
            assert rates["in_dist", ood_set] + rates["ood", ood_set] == pytest.approx(1)


@pytest.mark.parametrize("detector", DETECTORS)
def test_metrics_of_both_positive_classes_are_those_of_scikit_learn(scored, measure, detector):
    metrics, _ = measure(scored[detector])
    assert len(metrics) == 2 * 2 * 2
    for row in metrics.itertuples():
        score, is_ood = pair(scored[detector], row.seed, row.ood_set)
        if row.positive_class == "in_dist":
            score, is_ood = -score, ~is_ood
        assert row.auroc == pytest.approx(roc_auc_score(is_ood, score), abs=1e-12)
        assert row.aupr == pytest.approx(average_precision_score(is_ood, score), abs=1e-12)
        assert row.fpr95 == detection_metrics(score, is_ood).fpr


def test_results_are_means_over_the_seeds_and_auroc_does_not_depend_on_the_positive_class(scored, measure):
    metrics, results = measure(scored["max_logit"])
    rows = results.set_index(["positive_class", "ood_set"])
    for positive in POSITIVE:
        own = metrics[(metrics["ood_set"] == "wild") & (metrics["positive_class"] == positive)]
        for metric in METRICS:
            assert rows.loc[(positive, "wild"), metric] == pytest.approx(own[metric].mean())
            assert rows.loc[(positive, "wild"), f"{metric}_sd"] == pytest.approx(own[metric].std())
        means = rows.loc[(positive, ["wild", "static"]), "aupr"]
        assert rows.loc[(positive, "mean"), "aupr"] == pytest.approx(means.mean())
        assert rows.loc[(positive, "mean"), "mean_of"] == "wild;static"
    assert rows.loc[("ood", "wild"), "auroc"] == pytest.approx(rows.loc[("in_dist", "wild"), "auroc"], abs=1e-12)
    assert rows.loc[("ood", "wild"), "aupr"] != pytest.approx(rows.loc[("in_dist", "wild"), "aupr"], abs=1e-3)


def test_one_positive_class_has_half_the_rows(scored, measure):
    _, both = measure(scored["msp"])
    for positive in POSITIVE:
        _, alone = measure(scored["msp"], reporting=ReportingSpec(positive_class=positive))
        expected = both[both["positive_class"] == positive].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, expected)


def test_stale_scores_are_refused_with_the_command_that_renews_them(scored, measure, preparation, spec):
    message = r"kedro run --to-outputs multi_label\.isolation_forest\.scores"
    scores = scored["isolation_forest"]
    measure(scores)
    stale = [
        {"options": {"trees": 11}},
        {"spec": spec.model_copy(update={"width": 17})},
        {"extraction": EXTRACTION.model_copy(update={"dropout_seed": 9})},
        {"preparation": preparation | {"digests": preparation["digests"] | {"wild": "other"}}},
    ]
    for change in stale:
        with pytest.raises(StaleProductError, match=message):
            measure(scores, **change)


def test_a_gap_has_its_reason_in_every_row_and_no_number(gap, measure):
    metrics, results = measure(gap)
    assert metrics.empty
    assert len(results) == 2 * (2 + 3)
    assert set(results["gap"]) == {"not applicable: too few fit images (12; at least 21)"}
    assert results[[*METRICS, "distinct_scores"]].isna().all(axis=None)
    assert results.loc[results["ood_set"] == "wild", "base_rate"].sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def record(outputs, accuracy, preparation, spec, measure):
    def run(scores):
        results = measure(scores)[1]
        training = {"run_id": "abc"}
        return record_label_detector(
            scores, results, outputs, accuracy, preparation, training, spec, REPORTING, IDENTITY
        )

    return run


def test_the_run_of_a_detector_has_metrics_of_both_positive_classes_flat_parameters_and_the_map(
    scored, record, measure, accuracy, preparation
):
    run = record(scored["isolation_forest"])
    rows = measure(scored["isolation_forest"])[1].set_index(["positive_class", "ood_set"])
    for ood_set in (*OOD, "mean", "mean_photographs", "mean_noise"):
        for metric in METRICS:
            assert run.metrics[f"{metric}.{ood_set}"] == rows.loc[("in_dist", ood_set), metric]
            assert run.metrics[f"{metric}.{ood_set}.ood_positive"] == rows.loc[("ood", ood_set), metric]
    assert run.metrics["map"] == accuracy["map"]
    assert all(np.isfinite(value) for value in run.metrics.values())
    assert run.name == "multi_label.isolation_forest"
    assert run.tags == {
        "kind": "detector",
        "setting": "multi_label",
        "benchmark": "toy",
        "detector": "isolation_forest",
        "model": "toy",
        "training_run": "abc",
        "device": "cpu",
        "gap": "",
        "scores_key": scored["isolation_forest"].key,
    }
    assert all(isinstance(value, str | int | float | bool) for value in run.parameters.values())
    assert run.parameters["detector.trees"] == 10
    assert run.parameters["positive_class"] == "both"
    assert run.parameters["test_digest"] == preparation["digests"]["test"]
    assert run.figures.keys() == {"intervals_ood", "intervals_in_dist", "roc", "scores"}


def test_the_run_of_a_gap_has_its_reason_as_a_tag_and_no_metric_of_ood_sets(gap, record):
    run = record(gap)
    assert run.tags["gap"] == "not applicable: too few fit images (12; at least 21)"
    assert not [name for name in run.metrics if name.startswith(METRICS)]
    assert run.figures == {}


def collected(scores, measure, preparation, spec):
    """Results and metrics of several detectors together."""
    measured = {name: measure(one) for name, one in scores.items()}
    return collect_results(
        preparation,
        spec,
        REPORTING,
        **{f"{name}_scores": one for name, one in scores.items()},
        **{f"{name}_metrics": metrics for name, (metrics, _) in measured.items()},
        **{f"{name}_results": results for name, (_, results) in measured.items()},
    )


def test_results_of_all_detectors_are_joined_in_their_order_and_the_best_are_marked(
    scored, gap, measure, preparation, spec
):
    # As good as can be, and as bad.
    unseen = scored["msp"].frame["image_set"] != "test"
    best = replace(scored["msp"], frame=scored["msp"].frame.assign(score=unseen.astype(float)))
    worst = replace(scored["energy"], frame=scored["energy"].frame.assign(score=-unseen.astype(float)))
    chosen = {"energy": worst, "local_outlier_factor": gap, "msp": best}
    results, metrics = collected(chosen, measure, preparation, spec)
    assert list(dict.fromkeys(results["detector"])) == list(chosen)
    assert metrics["detector"].value_counts().to_dict() == {"energy": 8, "msp": 8}
    tied = results.set_index(["detector", "ood_set", "positive_class"])["auroc_tied"]
    for ood_set in OOD:
        for positive in POSITIVE:
            assert tied["msp", ood_set, positive] is True
            assert tied["energy", ood_set, positive] is False
            assert tied["local_outlier_factor", ood_set, positive] is not True
    assert tied["msp", "mean", "ood"] is not True


def test_figures_show_the_first_seed_of_what_is_no_gap(scored, gap, preparation, spec):
    roc, histograms = draw_label_figures(preparation, spec, REPORTING, msp=scored["msp"], factor=gap)
    shown = {trace.name for trace in roc.data if trace.name}
    assert any("msp" in name for name in shown)
    assert not any("local_outlier_factor" in name for name in shown)
    assert len(histograms.data) > 0


def test_the_report_says_what_the_model_is_worth_and_which_class_is_positive(
    scored, measure, outputs, accuracy, preparation, model, spec
):
    figures = draw_label_figures(preparation, spec, REPORTING, msp=scored["msp"])
    marked, _ = collected({"msp": scored["msp"]}, measure, preparation, spec)
    reporting = REPORTING.model_copy(update={"caveats": ("Numbers of toys.",)})
    report, text = write_label_report(
        marked, outputs, accuracy, preparation, model, spec, reporting, IDENTITY, *figures
    )
    for fact in (
        "mAP on 13 labelled test images",
        f"{accuracy['by_set']['test']:.1%}",
        "in_dist, then ood",
        "3: bee, ant, cow",
        "Numbers of toys.",
        Preparation.model_validate(preparation).digests["fit"],
    ):
        assert fact in report
    assert "msp" in text


class Kept(MemoryDataset):
    """Still there when the runner has no further use for it."""

    def _release(self):
        pass


def test_the_whole_stage_runs_on_what_the_others_left(
    scored, gap, outputs, model, accuracy, manifest, preparation, spec, measure, monkeypatch
):
    detectors = DETECTORS | {"local_outlier_factor": {}}
    scores = scored | {"local_outlier_factor": gap}
    setting = {
        "identity": IDENTITY.model_dump(),
        "data_sets": data_sets().model_dump(),
        "data": data_spec().model_dump(),
        "model": spec.model_dump(),
        "extraction": EXTRACTION.model_dump(),
        "detectors": detectors,
        "reporting": REPORTING.model_dump(),
    }
    monkeypatch.setattr(structure, "_bound", {"parameters": {"multi_label": setting, "runtime": RUNTIME.model_dump()}})
    graph = stage.create_pipeline()
    given = {
        "outputs": outputs,
        "model": model,
        "accuracy": accuracy,
        "preparation": preparation,
        "training_run": {"run_id": "abc"},
        "params:model": spec,
        "params:extraction": EXTRACTION,
        "params:detectors": detectors,
        "params:reporting": REPORTING,
        "params:identity": IDENTITY,
        **{f"params:detectors.{name}": options for name, options in detectors.items()},
        **{f"{name}.scores": one for name, one in scores.items()},
    }
    named = {
        (f"params:multi_label.{name[7:]}" if name.startswith("params:") else f"multi_label.{name}"): value
        for name, value in given.items()
    }
    assert graph.inputs() == named.keys()
    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in named.items()}
        | {name: Kept(copy_mode="assign") for name in graph.all_outputs()}
    )
    SequentialRunner().run(graph, catalog)

    results = catalog["multi_label.results"].load()
    assert len(results) == len(DETECTORS) * 2 * (2 + 3)
    assert list(dict.fromkeys(results["detector"])) == list(DETECTORS)
    for name, one in scores.items():
        own = measure(one, detectors=detectors)[1]
        rows = results[results["detector"] == name].reset_index(drop=True)
        columns = ["ood_set", "positive_class", *METRICS]
        pd.testing.assert_frame_equal(rows[columns], own[columns])
        assert catalog[f"multi_label.{name}.run"].load().tags["detector"] == name
    sets = results[results["ood_set"].isin(OOD) & (results["gap"] == "")]
    assert sets["auroc_tied"].notna().all()
    report = catalog["multi_label.report"].load()
    assert report.startswith("<!")
    assert all(name in report for name in DETECTORS)
    assert "too few fit images" in report
    assert "joint_energy" in catalog["multi_label.summary"].load()
