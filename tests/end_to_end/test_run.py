"""What a person gets from `kedro run`: products, tracked runs, and what a second run does."""

import json
import re
from collections import Counter

import pandas as pd
import pytest
from kedro_project import DETECTORS, NETWORKS, SETTINGS
from mlflow import MlflowClient

from scaling_ood.datasets import ShardsDataset
from scaling_ood.products.records import RESULT_COLUMNS

pytestmark = pytest.mark.slow

OOD_SETS = ["aquatica", "montana", "gaussian", "rademacher", "blobs"]
ROWS = {
    "multi_class": [(name, "ood", "pooled") for name in (*OOD_SETS, "mean", "mean_fabricated", "mean_noise")],
    "multi_label": [(name, positive, "pooled") for positive in ("in_dist", "ood") for name in ("unseen_kinds", "mean")],
    "segmentation": [
        (name, "ood", aggregation) for name in ("test", "mean") for aggregation in ("per_image", "pooled")
    ],
}
"""OOD set, positive class and aggregation of a detector's rows, by setting."""
# ViM keeps more directions than there are fit images here; KL matching is not defined for pixels.
GAPS = {"multi_class": {"vim"}, "multi_label": set(), "segmentation": {"kl_matching"}}
each_setting = pytest.mark.parametrize("setting", SETTINGS)


@each_setting
def test_results_have_all_rows_of_every_detector(finished, setting):
    results = finished.results(setting)
    assert tuple(results.columns) == RESULT_COLUMNS
    assert list(results["detector"].unique()) == DETECTORS[setting]
    assert set(results["benchmark"]) == {"test"}
    for _, rows in results.groupby("detector"):
        found = list(zip(rows["ood_set"], rows["positive_class"], rows["aggregation"], strict=True))
        assert found == ROWS[setting]
    assert set(results.loc[results["gap"].notna(), "detector"]) == GAPS[setting]
    measured = results[results["gap"].isna()]
    assert measured[["fpr95", "auroc", "aupr"]].stack().between(0, 1).all()
    assert set(measured["network"]) == NETWORKS[setting]


def test_base_rates_are_those_of_the_positive_class(finished):
    results = pd.concat(map(finished.results, SETTINGS))
    single = results[~results["ood_set"].str.startswith("mean") & results["gap"].isna()]
    positives = single["n_out"].where(single["positive_class"] == "ood", single["n_in"])
    assert (single["base_rate"] - positives / (single["n_in"] + single["n_out"])).abs().max() < 1e-12


def test_means_are_over_the_sets_that_they_name(finished):
    results = finished.results()
    for _, rows in results[results["gap"].isna()].groupby("detector"):
        by_set = rows.set_index("ood_set")
        for name in ("mean", "mean_fabricated", "mean_noise"):
            members = by_set.loc[name, "mean_of"].split(";")
            assert by_set.loc[name, "auroc"] == pytest.approx(by_set.loc[members, "auroc"].mean())


def test_auroc_is_the_same_whichever_class_is_positive(finished):
    table = finished.results("multi_label").query("ood_set == 'unseen_kinds'").set_index(["detector", "positive_class"])
    known, unseen = (table.xs(positive, level="positive_class") for positive in ("in_dist", "ood"))
    assert (known["auroc"] - unseen["auroc"]).abs().max() < 1e-12
    assert (known["aupr"] != unseen["aupr"]).all()


def test_no_test_image_was_fitted_on(finished):
    manifest = finished.manifest("multi_label")
    sets = {name: set(rows["id"]) for name, rows in manifest.groupby("image_set")}
    assert set(sets) == {"train", "fit", "test", "unseen_kinds"}
    assert not sets["fit"] & sets["test"]
    assert sum(map(len, sets.values())) == len(manifest) == manifest["content"].nunique()
    table = finished.results("multi_label").query("ood_set == 'unseen_kinds'")
    assert set(table["n_in"]) == {len(sets["test"])}


def test_table_report_and_store_are_announced(finished_run):
    project, outcome = finished_run
    assert "max_logit" in outcome.output
    reports = {str(project.product("08_reporting/*/report.html", setting)) for setting in SETTINGS}
    assert set(re.findall(r"Report: (.*)", outcome.output)) == reports
    assert re.search(rf"MLflow: sqlite:///{project.path}/mlflow.db", outcome.output)
    assert "Traceback" not in outcome.output


@each_setting
def test_the_report_needs_no_network_and_says_how_good_the_model_is(finished, setting):
    page = finished.product("08_reporting/*/report.html", setting).read_text()
    assert not re.search(r"""(?:src|href)=["']https?://[^"']*\.(?:js|css)""", page)
    assert "The images are rendered" in page
    shared = "segmenter" if setting == "segmentation" else "classifier"
    quality = json.loads(finished.product(f"07_model_output/*/{shared}/quality/record.json", setting).read_text())
    for name, values in quality["fields"]["by_set"].items():
        assert f"On the {name} images" in page
        assert all(f"{value:.1%}" in page for value in values.values())


def test_score_maps_are_shown_between_the_intervals_and_no_pixel_score_is_stored(finished):
    page = finished.product("08_reporting/*/report.html", "segmentation").read_text()
    assert "Score maps" in page
    assert page.index('id="intervals-1"') < page.index('<table class="results">') < page.index('id="intervals-2"')
    assert finished.product("08_reporting/*/score_maps.png", "segmentation").stat().st_size > 10_000
    for place in finished.product("07_model_output/*/scores", "segmentation").iterdir():
        assert pd.read_parquet(place / "frame.parquet").empty


def test_probability_is_spread_among_look_alikes(finished):
    spread = pd.read_csv(finished.product("08_reporting/*/dispersal.csv"))
    known = spread[spread["image_set"] == "test"].set_index("targets")
    assert known.loc["classes", "dispersal"] > known.loc["coarse", "dispersal"]
    assert known.loc["classes", "dispersal"] > known.loc["classes", "arbitrary"]


def test_mlflow_holds_one_child_per_detector_under_the_kedro_run(finished):
    runs = finished.tracked()
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parent.data.params["multi_class.networks.classifier.epochs"] == "4"
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert Counter((run.data.tags["setting"], run.data.tags["kind"]) for run in children) == {
        (setting, kind): len(names)
        for kind, by_setting in (("detector", DETECTORS), ("training", NETWORKS))
        for setting, names in by_setting.items()
    }
    detectors = [run for run in children if run.data.tags["kind"] == "detector"]
    names = {frozenset(name for name in run.data.params if not name.startswith("detector.")) for run in detectors}
    assert len(names) == 1
    client = MlflowClient(f"sqlite:///{finished.path}/mlflow.db")
    shown = {
        run.data.tags["setting"]: {figure.path for figure in client.list_artifacts(run.info.run_id, "figures")}
        for run in detectors
        if run.data.tags["detector"] == "max_logit"
    }
    assert "figures/intervals.html" in shown["multi_class"]
    assert {"figures/intervals_in_dist.html", "figures/intervals_ood.html"} <= shown["multi_label"]
    assert {"figures/intervals_per_image.html", "figures/intervals_pooled.html"} <= shown["segmentation"]


@each_setting
def test_a_child_shows_the_numbers_of_the_table_and_the_training_of_its_network(finished, setting):
    runs = finished.tracked(f"tags.setting = '{setting}'")
    training = {run.data.tags["network"]: run.info.run_id for run in runs if run.data.tags["kind"] == "training"}
    assert training.keys() == NETWORKS[setting]
    results = finished.results(setting)
    first = results[results["aggregation"].eq("per_image") | results["positive_class"].eq("in_dist")]
    table = (results if first.empty else first).set_index(["detector", "ood_set"])
    for run in (run for run in runs if run.data.tags["kind"] == "detector" and not run.data.tags["gap"]):
        tags, metrics = run.data.tags, run.data.metrics
        assert {"benchmark", "detector", "model", "device", "network"} <= set(tags)
        assert tags["training_run"] == training[tags["network"]]
        assert tags["latest"] == "true"
        for ood_set in table.loc[tags["detector"]].index:
            assert metrics[f"auroc.{ood_set}"] == pytest.approx(table.loc[(tags["detector"], ood_set), "auroc"])
        assert metrics["extraction_images_per_second"] > 0
    client = MlflowClient(f"sqlite:///{finished.path}/mlflow.db")
    kept = next(run for run in runs if run.data.tags.get("detector") == "max_logit")
    assert {artifact.path for artifact in client.list_artifacts(kept.info.run_id)} >= {"figures", "tables"}
    if setting == "multi_class":
        for run_id in training.values():
            assert len(client.get_metric_history(run_id, "train_loss.seed0")) == 4


def test_each_stage_alone_makes_what_the_whole_run_made_and_makes_nothing_twice(project):
    tables = {setting: project.results(setting) for setting in SETTINGS}
    slow = ("01_raw/*", "06_models/*/*/features", "06_models/*/*/model", "07_model_output/*/*/outputs")
    before = {
        path: path.stat().st_mtime_ns
        for setting in SETTINGS
        for place in slow
        for folder in (project.path / "data").glob(place.replace("*", f"test/{setting}", 1))
        for path in folder.rglob("*.*")
    }
    assert {path.suffix for path in before} >= {".jpg", ".png", ".json", ".safetensors"}
    for stage in ("data_preparation", "model_training", "score_extraction"):
        project.run("--pipelines", stage)
    # Reports and tracked runs take most of the time of this stage: of one setting they are enough.
    wanted = ["multi_label.report", "multi_label.runs", *(f"{setting}.results" for setting in SETTINGS)]
    project.run("--pipelines", "metric_reporting", "--to-outputs", ",".join(wanted))
    assert {path: path.stat().st_mtime_ns for path in before if path.exists()} == before
    for setting, table in tables.items():
        pd.testing.assert_frame_equal(project.results(setting), table)


def test_one_detector_alone(project):
    # Further rules can only be read with all detectors: what is made alone is its scores and its metrics.
    others = project.product("07_model_output/*/scores/msp/frame.parquet").stat().st_mtime_ns
    own = project.product("07_model_output/*/scores/max_logit/frame.parquet")
    rows = project.product("08_reporting/*/measured/max_logit/results.parquet")
    kept = own.read_bytes()
    own.unlink()
    rows.unlink()
    project.run("--pipelines", "score_extraction,metric_reporting", "--namespaces", "multi_class.max_logit")
    assert own.read_bytes() == kept
    assert list(pd.read_parquet(rows)["detector"].unique()) == ["max_logit"]
    assert project.product("07_model_output/*/scores/msp/frame.parquet").stat().st_mtime_ns == others


KILLED = {
    "multi_class": "07_model_output/*/classifier/outputs/test-0000[1-9].safetensors",
    "multi_label": "07_model_output/*/classifier/outputs/fit-0000?.safetensors",
    "segmentation": "06_models/*/segmenter/model/state.pt",
}
"""What is there when a run is killed: in the middle of an extraction, at its start, and between two epochs."""


def test_runs_that_are_killed_go_on_where_they_stopped_and_end_with_the_same_tables(project):
    tables = {setting: project.results(setting) for setting in SETTINGS}
    for setting, place in KILLED.items():
        for shard in project.path.glob(f"data/07_model_output/test/{setting}/*/outputs/*.safetensors"):
            shard.unlink()
        if setting != "multi_class":
            for weights in project.path.glob(f"data/06_models/test/{setting}/*/model/*"):
                weights.unlink()
        killed = str(project.product(place, setting).relative_to(project.path))
        project.kill_when("run", "--namespaces", setting, exists=killed)
    assert not project.product("06_models/*/segmenter/model/record.json", "segmentation").exists()
    outputs = project.product("07_model_output/*/classifier/outputs")
    assert not ShardsDataset(filepath=str(outputs)).exists()
    done = [path for path in outputs.glob("*.safetensors") if (outputs / f".parts/{path.stem}.json").exists()]
    assert len(done) > 0
    kept = {path: path.stat().st_mtime_ns for path in done}
    project.run()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for setting, table in tables.items():
        pd.testing.assert_frame_equal(project.results(setting), table)


def test_several_seeds_of_networks_from_scratch_give_means_and_spreads(project):
    network = "multi_class.networks.classifier"
    scratch = {"architecture": "small_resnet", "weights": "trained", "input_px": "32", "seeds": "2", "epochs": "2"}
    given = ",".join(f"{network}.{name}={value}" for name, value in scratch.items())
    project.run("--to-outputs", "multi_class.results,multi_class.metrics", "--params", given)
    results = project.results()
    assert set(results["model"]) == {"small_resnet"}
    assert (results["seeds"] == 2).all()
    by_seed = pd.read_csv(project.product("08_reporting/*/metrics_by_seed.csv"))
    own = by_seed[(by_seed["detector"] == "msp") & (by_seed["ood_set"] == "montana")]
    row = results[(results["detector"] == "msp") & (results["ood_set"] == "montana")].iloc[0]
    assert len(own) == 2
    assert row["auroc"] == pytest.approx(own["auroc"].mean())
    assert row["auroc_sd"] == pytest.approx(own["auroc"].std())
    assert row["auroc_sd"] > 0
