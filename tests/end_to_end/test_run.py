"""What a person gets from `kedro run`: products, tracked runs, and what a second run does."""

import re
import shutil
from collections import Counter

import mlflow
import pandas as pd
import pytest
from kedro_project import LABEL_DETECTORS, SCENE_DETECTORS
from mlflow import MlflowClient
from scaling_ood.records import RESULT_COLUMNS

from scaling_ood.datasets import ShardsDataset

pytestmark = pytest.mark.slow

DETECTORS = [
    "msp",
    "grouped_msp",
    "max_logit",
    "kl_matching",
    "energy",
    "logit_avg",
    "confidence_branch",
    "rotation_msp",
    "rotation_max_logit",
    "odin",
    "odin_max_logit",
    "mahalanobis",
    "knn",
    "vim",
    "react",
    "ash",
    "gen",
    "temperature_scaling",
]
ONLY = ("--namespaces", "multi_class")
OOD_SETS = ["aquatica", "montana", "gaussian", "rademacher", "blobs"]


@pytest.fixture(scope="module")
def finished(finished_run):
    return finished_run[0]


def test_results_have_a_row_for_each_detector_and_ood_set(finished):
    results = finished.results()
    assert tuple(results.columns) == RESULT_COLUMNS
    assert list(results["detector"].unique()) == DETECTORS
    for _, rows in results.groupby("detector"):
        assert list(rows["ood_set"]) == [*OOD_SETS, "mean", "mean_fabricated", "mean_noise"]
    assert not results.duplicated(["detector", "ood_set", "positive_class", "aggregation"]).any()
    # ViM keeps more directions than there are fit images here.
    assert set(results.loc[results["gap"].notna(), "detector"]) == {"vim"}
    assert results.loc[results["gap"].isna(), ["fpr95", "auroc", "aupr"]].stack().between(0, 1).all()
    measured = results[~results["ood_set"].str.startswith("mean")]
    assert (measured["base_rate"] - measured["n_out"] / (measured["n_in"] + measured["n_out"])).abs().max() < 1e-12


def test_means_are_over_the_sets_that_they_name(finished):
    results = finished.results()
    results = results[results["gap"].isna()]
    for _, rows in results.groupby("detector"):
        by_set = rows.set_index("ood_set")
        for name in ("mean", "mean_fabricated", "mean_noise"):
            members = by_set.loc[name, "mean_of"].split(";")
            assert by_set.loc[name, "auroc"] == pytest.approx(by_set.loc[members, "auroc"].mean())


def test_table_report_and_store_are_announced(finished_run):
    project, outcome = finished_run
    assert "max_logit" in outcome.output
    report = re.search(r"Report: (.*)", outcome.output).group(1)
    assert report == str(project.product("08_reporting/*/report.html"))
    assert re.search(rf"MLflow: sqlite:///{project.path}/mlflow.db", outcome.output)
    assert "Traceback" not in outcome.output


def test_the_report_needs_no_network(finished):
    page = finished.product("08_reporting/*/report.html").read_text()
    assert not re.search(r"""(?:src|href)=["']https?://[^"']*\.(?:js|css)""", page)
    assert "rendered" in page


def test_probability_is_spread_among_look_alikes(finished):
    spread = pd.read_csv(finished.product("08_reporting/*/dispersal.csv"))
    known = spread[spread["image_set"] == "test"].set_index("labels")
    assert known.loc["fine", "dispersal"] > known.loc["coarse", "dispersal"]
    assert known.loc["fine", "dispersal"] > known.loc["fine", "arbitrary"]


def test_mlflow_holds_one_child_per_detector_under_the_kedro_run(finished):
    mlflow.set_tracking_uri(f"sqlite:///{finished.path}/mlflow.db")
    client = MlflowClient()
    experiment = client.get_experiment_by_name("scaling_ood")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    assert parents[0].data.params["multi_class.model.epochs"] == "4"
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    kinds = Counter((run.data.tags["setting"], run.data.tags["kind"]) for run in children)
    assert kinds == {
        ("multi_class", "detector"): len(DETECTORS),
        ("multi_class", "training"): 3,
        ("multi_label", "detector"): len(LABEL_DETECTORS),
        ("multi_label", "training"): 1,
        ("segmentation", "detector"): len(SCENE_DETECTORS),
        ("segmentation", "training"): 3,
    }
    names = {
        frozenset(name for name in run.data.params if not name.startswith("detector."))
        for run in children
        if run.data.tags["kind"] == "detector"
    }
    assert len(names) == 1
    shown = {
        run.data.tags["setting"]: {figure.path for figure in client.list_artifacts(run.info.run_id, "figures")}
        for run in children
        if run.data.tags.get("detector") == "max_logit"
    }
    assert "figures/intervals.html" in shown["multi_class"]
    assert {"figures/intervals_in_dist.html", "figures/intervals_ood.html"} <= shown["multi_label"]
    assert {"figures/intervals_per_image.html", "figures/intervals_pooled.html"} <= shown["segmentation"]


def test_a_child_shows_the_numbers_of_the_table(finished):
    mlflow.set_tracking_uri(f"sqlite:///{finished.path}/mlflow.db")
    client = MlflowClient()
    experiment = client.get_experiment_by_name("scaling_ood")
    runs = client.search_runs([experiment.experiment_id], "tags.setting = 'multi_class'")
    training = {run.data.tags.get("network"): run.info.run_id for run in runs if run.data.tags["kind"] == "training"}
    assert training.keys() == {None, "confidence_branch", "rotation_network"}
    assert all(len(client.get_metric_history(run_id, "train_loss.fine_seed0")) == 4 for run_id in training.values())
    results = finished.results().set_index(["detector", "ood_set"])
    for run in (run for run in runs if run.data.tags["kind"] == "detector" and not run.data.tags.get("gap")):
        tags, metrics = run.data.tags, run.data.metrics
        assert {"setting", "benchmark", "detector", "model", "device", "training_run"} <= set(tags)
        assert tags["training_run"] == training[tags.get("network")]
        assert ("classifier_top1" in metrics) == ("network" in tags)
        assert tags["latest"] == "true"
        assert metrics["auroc.mean"] == pytest.approx(results.loc[(tags["detector"], "mean"), "auroc"])
        assert metrics["auroc.aquatica"] == pytest.approx(results.loc[(tags["detector"], "aquatica"), "auroc"])
        assert metrics["extraction_images_per_second"] > 0
        assert {artifact.path for artifact in client.list_artifacts(run.info.run_id)} >= {"figures", "tables"}


def test_a_second_run_neither_renders_nor_trains_nor_extracts(project):
    places = ["01_raw/test", "06_models/*/training_features", "06_models/*/model", "07_model_output/*/outputs"]
    places += [f"06_models/*/rotation_network/{name}" for name in ("turned_features", "model")]
    places += ["06_models/*/confidence_branch/model", "07_model_output/*/rotation_network/outputs"]
    products = [path for place in places for path in project.product(place).rglob("*.*") if path.name != "record.json"]
    before = {path: path.stat().st_mtime_ns for path in products}
    table = project.results()
    project.run(*ONLY)
    assert {path: path.stat().st_mtime_ns for path in products if path.exists()} == before
    pd.testing.assert_frame_equal(project.results(), table)


def test_each_stage_alone_makes_what_the_whole_run_makes(project):
    table = project.results()
    for stage in ("data_preparation", "model_training", "score_extraction", "metric_reporting"):
        project.run("--pipelines", stage, *ONLY)
    pd.testing.assert_frame_equal(project.results(), table)


def test_one_detector_alone(project):
    others = project.product("07_model_output/*/scores/msp.parquet").stat().st_mtime_ns
    own = project.product("07_model_output/*/scores/max_logit.parquet")
    own.unlink()
    rows = project.product("08_reporting/*/max_logit/results.csv")
    rows.unlink()
    project.run("--pipelines", "score_extraction,metric_reporting", "--namespaces", "multi_class.max_logit")
    assert own.exists()
    assert list(pd.read_csv(rows)["detector"].unique()) == ["max_logit"]
    mlflow.set_tracking_uri(f"sqlite:///{project.path}/mlflow.db")
    experiment = mlflow.get_experiment_by_name("scaling_ood")
    children = MlflowClient().search_runs([experiment.experiment_id], "tags.kind = 'detector'")
    assert [(run.data.tags["detector"], run.data.tags["latest"]) for run in children] == [("max_logit", "true")]
    assert project.product("07_model_output/*/scores/msp.parquet").stat().st_mtime_ns == others


def test_a_run_killed_in_the_middle_of_extraction_goes_on_where_it_stopped(project):
    table = project.results()
    outputs = project.product("07_model_output/*/outputs")
    shutil.rmtree(outputs)
    project.kill_when(
        "run",
        "--pipelines",
        "score_extraction",
        *ONLY,
        exists="data/07_model_output/test/multi_class/outputs/test-0000[1-9].safetensors",
    )
    kept = {path: path.stat().st_mtime_ns for path in outputs.glob("*.safetensors")}
    done = [path.stem for path in (outputs / ".parts").glob("*.json")]
    assert len(done) > 0
    assert not ShardsDataset(filepath=str(outputs)).exists()
    project.run(*ONLY)
    named = [outputs / f"{name}.safetensors" for name in done]
    assert {path: path.stat().st_mtime_ns for path in named} == {path: kept[path] for path in named}
    pd.testing.assert_frame_equal(project.results(), table)


def test_several_seeds_give_means_and_spreads(project):
    project.run(*ONLY, "--params", "multi_class.model.seeds=3")
    results = project.results()
    assert (results["seeds"] == 3).all()
    by_seed = pd.read_csv(project.product("08_reporting/*/metrics_by_seed.csv"))
    own = by_seed[(by_seed["detector"] == "msp") & (by_seed["labels"] == "fine") & (by_seed["ood_set"] == "montana")]
    row = results[(results["detector"] == "msp") & (results["ood_set"] == "montana")].iloc[0]
    assert len(own) == 3
    assert row["auroc"] == pytest.approx(own["auroc"].mean())
    assert row["auroc_sd"] == pytest.approx(own["auroc"].std())
    assert row["auroc_sd"] > 0


def test_a_network_from_scratch(project):
    options = (
        "multi_class.model.architecture=small_resnet,multi_class.model.training=network,multi_class.model.input_px=32"
    )
    project.run(*ONLY, "--params", options)
    assert set(project.results()["model"]) == {"small_resnet"}
