"""Segmentation from end to end: tables, and runs that are killed in every stage."""

import json
import shutil

import pandas as pd
import pytest
from kedro_project import SCENE_DETECTORS
from scaling_ood.records import RESULT_COLUMNS

from scaling_ood.datasets import ShardsDataset

pytestmark = pytest.mark.slow

ONLY = ("--namespaces", "segmentation")


def product(project, path):
    return project.path / "data" / path.replace("*", "test_street/segmentation")


def results(project):
    return pd.read_csv(product(project, "08_reporting/*/results.csv"))


def test_results_have_both_aggregations_of_every_detector(finished_run):
    table = results(finished_run[0])
    assert tuple(table.columns) == RESULT_COLUMNS
    assert list(table["detector"].unique()) == SCENE_DETECTORS
    for _, rows in table.groupby("detector"):
        assert set(zip(rows["ood_set"], rows["aggregation"], strict=True)) == {
            (name, aggregation) for name in ("test", "mean") for aggregation in ("per_image", "pooled")
        }
    measured = table[table["gap"].isna()]
    assert measured[["fpr95", "auroc", "aupr"]].stack().between(0, 1).all()
    assert set(table.loc[table["gap"].notna(), "detector"]) == {"kl_matching"}


def test_report_and_maps_are_written(finished_run):
    page = product(finished_run[0], "08_reporting/*/report.html").read_text()
    assert "Score maps" in page
    assert "mIoU" in page
    assert page.index('id="intervals-1"') < page.index('<table class="results">') < page.index('id="intervals-2"')
    assert product(finished_run[0], "08_reporting/*/score_maps.png").stat().st_size > 10_000


def test_no_pixel_score_is_stored(finished_run):
    stored = json.loads(product(finished_run[0], "07_model_output/*/scores/max_logit.json").read_text())
    assert stored["detector"] == "max_logit"
    assert set(stored) == {"detector", "options", "key", "gap"}


def test_a_network_of_a_detector_has_its_own_training_run(finished_run):
    runs = {}
    for owner, model in (
        ("", "pspnet_resnet10"),
        ("confidence_branch/", "pspnet_resnet10"),
        ("autoencoder/", "spatial_autoencoder"),
    ):
        training = json.loads(product(finished_run[0], f"06_models/*/{owner}training_run.json").read_text())
        detector = owner or "msp/"
        record = json.loads(product(finished_run[0], f"08_reporting/*/{detector}run.json").read_text())
        assert record["tags"]["training_run"] == training["run_id"]
        assert record["tags"]["model"] == training["tags"]["model"] == model
        runs[owner] = training["run_id"]
    assert len(set(runs.values())) == 3


def test_a_run_killed_while_training_and_again_while_extracting_ends_with_the_same_table(project):
    table = results(project)
    for folder in ("06_models/*", "07_model_output/*"):
        shutil.rmtree(product(project, folder))
    project.kill_when("run", *ONLY, exists="data/06_models/test_street/segmentation/confidence_branch/model/state.pt")
    project.kill_when("run", *ONLY, exists="data/06_models/test_street/segmentation/model/state.pt")
    assert not product(project, "06_models/*/model/record.json").exists()
    project.kill_when(
        "run", *ONLY, exists="data/07_model_output/test_street/segmentation/outputs/validation-*.safetensors"
    )
    assert not ShardsDataset(filepath=str(product(project, "07_model_output/*/outputs"))).exists()
    project.run(*ONLY)
    pd.testing.assert_frame_equal(results(project), table)


def test_a_segmenter_that_is_worse_than_known_is_refused(project):
    outcome = project.kedro(
        "run", "--pipelines", "score_extraction", *ONLY, "--params", "segmentation.model.least_miou=0.999"
    )
    assert outcome.code != 0
    assert "Traceback" not in outcome.output
    assert "mIoU" in outcome.output
    assert "99.9%" in outcome.output
