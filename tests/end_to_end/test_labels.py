"""Several labels per image from end to end: tables, and runs that are killed in every stage."""

import json
import shutil

import pandas as pd
import pytest
from kedro_project import LABEL_DETECTORS
from scaling_ood.records import RESULT_COLUMNS

from scaling_ood.datasets import ShardsDataset

pytestmark = pytest.mark.slow

ONLY = ("--namespaces", "multi_label")
# Enough epochs to be killed between two of them.
LONGER = ("--params", "multi_label.model.epochs=300")


def product(project, path):
    return project.path / "data" / path.replace("*", "test_composite/multi_label")


def results(project):
    return pd.read_csv(product(project, "08_reporting/*/results.csv"))


def test_results_have_both_positive_classes_of_every_detector(finished_run):
    table = results(finished_run[0])
    assert tuple(table.columns) == RESULT_COLUMNS
    assert list(table["detector"].unique()) == LABEL_DETECTORS
    for _, rows in table.groupby("detector"):
        assert list(zip(rows["positive_class"], rows["ood_set"], strict=True)) == [
            (positive, name) for positive in ("in_dist", "ood") for name in ("unseen_kinds", "mean")
        ]
    assert table["gap"].isna().all()
    assert table[["fpr95", "auroc", "aupr"]].stack().between(0, 1).all()


def test_auroc_is_the_same_whichever_class_is_positive_and_base_rates_are_shown(finished_run):
    table = results(finished_run[0]).query("ood_set == 'unseen_kinds'").set_index(["detector", "positive_class"])
    known, unseen = (table.xs(positive, level="positive_class") for positive in ("in_dist", "ood"))
    assert (known["auroc"] - unseen["auroc"]).abs().max() < 1e-12
    assert (known["aupr"] != unseen["aupr"]).all()
    for rows, count in ((known, "n_in"), (unseen, "n_out")):
        assert (rows["base_rate"] - rows[count] / (rows["n_in"] + rows["n_out"])).abs().max() < 1e-12


def test_no_test_image_was_fitted_on(finished_run):
    manifest = pd.read_parquet(product(finished_run[0], "02_manifests/*/manifest.parquet"))
    sets = {name: set(rows["id"]) for name, rows in manifest.groupby("image_set")}
    assert set(sets) == {"train", "fit", "test", "unseen_kinds"}
    assert not sets["fit"] & sets["test"]
    assert sum(map(len, sets.values())) == len(manifest) == manifest["content"].nunique()
    table = results(finished_run[0]).query("ood_set == 'unseen_kinds'")
    assert set(table["n_in"]) == {len(sets["test"])}


def test_the_report_says_how_good_the_network_is(finished_run):
    page = product(finished_run[0], "08_reporting/*/report.html").read_text()
    found = json.loads(product(finished_run[0], "07_model_output/*/accuracy.json").read_text())
    for name, value in found["by_set"].items():
        assert f"mAP on {found['images'][name]} labelled {name} images" in page
        assert f"{value:.1%}" in page
    assert "rendered" in page


def test_a_run_killed_while_training_and_again_while_extracting_ends_with_the_same_table(project):
    project.run(*ONLY, *LONGER)
    table = results(project)
    for folder in ("06_models/*", "07_model_output/*"):
        shutil.rmtree(product(project, folder))
    model = "data/06_models/test_composite/multi_label/model"
    project.kill_when("run", *ONLY, *LONGER, exists=f"{model}/state.pt")
    assert (project.path / f"{model}/state.pt").exists()
    assert not (project.path / f"{model}/record.json").exists()
    features = sorted(product(project, "06_models/*/training_features").glob("*.safetensors"))
    kept = {path: path.stat().st_mtime_ns for path in features}
    project.kill_when(
        "run", *ONLY, *LONGER, exists="data/07_model_output/test_composite/multi_label/outputs/fit-*.safetensors"
    )
    assert len(kept) > 0
    assert {path: path.stat().st_mtime_ns for path in features} == kept
    assert not ShardsDataset(filepath=str(product(project, "07_model_output/*/outputs"))).exists()
    project.run(*ONLY, *LONGER)
    pd.testing.assert_frame_equal(results(project), table)


def test_a_network_that_is_worse_than_known_is_refused(project):
    outcome = project.kedro(
        "run", "--pipelines", "score_extraction", *ONLY, "--params", "multi_label.model.least_map=0.999"
    )
    assert outcome.code != 0
    assert "Traceback" not in outcome.output
    assert "mAP" in outcome.output
    assert "99.9%" in outcome.output
