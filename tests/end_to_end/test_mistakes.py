"""Wrong input: one clear message that names the thing and the remedy, and no traceback."""

import json

import numpy as np
import pandas as pd
import pytest
from kedro_project import Project
from safetensors.numpy import load_file, save_file

from scaling_ood.datasets.planned import file_digest

pytestmark = pytest.mark.slow


def refused(outcome, *words):
    """The command failed with one message that has all these words."""
    assert outcome.code != 0
    assert "Traceback" not in outcome.output, outcome.output
    for word in words:
        assert word in outcome.output, outcome.output


@pytest.fixture
def empty(tmp_path):
    return Project.copy(tmp_path / "project")


def test_unknown_detector_and_misspelt_options_are_named_at_once(empty):
    wrong = {"detectors.max_logits": "{}", "detectors.energy.temprature": "2", "model.epoch": "3"}
    outcome = empty.kedro("run", "--params", ",".join(f"multi_class.{name}={value}" for name, value in wrong.items()))
    refused(outcome, "max_logits", "did you mean 'max_logit'", "nothing was run")
    refused(outcome, "temprature", "did you mean 'temperature'", "model.epoch", "did you mean 'epochs'")
    assert not (empty.path / "mlflow.db").exists()


def test_missing_products_are_named_with_the_command_that_makes_them(empty):
    refused(
        empty.kedro("run", "--pipelines", "score_extraction", "--namespaces", "multi_class.max_logit"),
        "multi_class.outputs",
        "kedro run --to-outputs multi_class.outputs --env test",
    )


def test_missing_photographs_are_named_before_any_run(empty):
    refused(
        empty.kedro("run", "--params", "data_root=nowhere", env="samples"),
        "multi_class tiny_imagenet_objects",
        "raccoon",
        "camvid",
        "nowhere/tiny-imagenet-200",
        "make samples",
        "--params data_root=DIR",
    )


def test_stale_outputs_are_refused_not_scored(project):
    refused(
        project.kedro("run", "--pipelines", "score_extraction", "--params", "multi_class.model.epochs=3"),
        "multi_class.model is stale",
        "kedro run --to-outputs multi_class.model",
    )
    project.run("--pipelines", "model_training", "--params", "multi_class.model.epochs=3")
    alone = (
        "--pipelines",
        "score_extraction",
        "--namespaces",
        "multi_class.msp",
        "--params",
        "multi_class.model.epochs=3",
    )
    refused(project.kedro("run", *alone), "multi_class.outputs is stale", "--to-outputs multi_class.outputs")


def test_too_many_corrupt_images_are_named(project):
    images = sorted((project.path / "data/01_raw/test/in_dist/val").rglob("*.jpg"))
    for path in images[:10]:
        path.write_bytes(path.read_bytes()[:200])
    refused(
        project.kedro("run", "--pipelines", "data_preparation"),
        "10 of",
        images[0].name,
        "data.most_unreadable",
    )


def test_a_few_corrupt_images_are_quarantined_and_listed(project):
    image = sorted((project.path / "data/01_raw/test/in_dist/val").rglob("*.jpg"))[0]
    image.write_bytes(b"no image")
    project.run("--pipelines", "data_preparation")
    listed = pd.read_csv(project.product("02_manifests/*/quarantine.csv"))
    assert [path.rsplit("/", 1)[-1] for path in listed["path"]] == [image.name]


def test_a_model_that_is_worse_than_known_is_refused(project):
    refused(
        project.kedro("run", "--pipelines", "score_extraction", "--params", "multi_class.model.least_top1=0.999"),
        "top-1 accuracy",
        "99.9%",
        "preprocessing",
    )


def test_a_nan_score_names_detector_image_and_count(project):
    outputs = project.product("07_model_output/*/outputs")
    shard = outputs / "montana-00000.safetensors"
    tensors = load_file(shard)
    tensors["fine_seed0/logits"][3] = np.nan
    save_file(tensors, shard)
    record = json.loads((outputs / "record.json").read_text())
    record["parts"]["montana-00000"]["sha256"] = file_digest(shard)
    (outputs / "record.json").write_text(json.dumps(record))
    refused(
        project.kedro("run", "--pipelines", "score_extraction", "--namespaces", "multi_class.max_logit"),
        "max_logit",
        "montana",
        "1 of",
        ".jpg",
    )


def test_an_ood_set_without_images_is_named(project):
    for path in (project.path / "data/01_raw/test/ood/montana").rglob("*.jpg"):
        path.unlink()
    refused(project.kedro("run", "--pipelines", "data_preparation"), "montana", "no image")
