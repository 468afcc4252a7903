"""Every benchmark of labelled scenes, dry-run on a tree of chance in its official layout, with a tiny network."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scene_trees
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from scaling_ood.models.segmentation import build_segmenter

pytestmark = pytest.mark.slow

TINY = {"architecture": "pspnet_resnet10", "pretrained": "false", "width": "8", "longest_edge": "64"}
TRAINED = {"epochs": "1", "steps_per_epoch": "1", "batch_images": "2", "least_miou": "0.0"}
AUTOENCODER = {"networks.autoencoder.epochs": "1", "networks.autoencoder.batch_images": "2"}
COUNTS = {
    "streethazards": {"train": 4, "validation": 2, "test": 3},
    "bdd_anomaly": {"train": 4, "validation": 2, "test": 3},
    "lost_and_found": {"test": 3},
    "road_anomaly": {"test": 3},
}
NEED_NO_CLASS = {"confidence_branch", "autoencoder", "kl_matching"}


def params(**options):
    given = {**{f"model.{name}": value for name, value in TINY.items()}, **options}
    return ",".join(f"segmentation.{name}={value}" for name, value in given.items())


def outcome(project, environment):
    reports = project.path / f"data/08_reporting/{environment}/segmentation"
    preparation = project.path / f"data/02_manifests/{environment}/segmentation/preparation.json"
    return pd.read_csv(reports / "results.csv"), json.loads(preparation.read_text())


@pytest.fixture
def bare(finished_run, tmp_path):
    """A project of its own, without products."""
    return type(finished_run[0]).copy(tmp_path / "project")


def lay_out(project, environment):
    given = yaml.safe_load((project.path / f"conf/{environment}/parameters.yml").read_text())["segmentation"]["data"]
    getattr(scene_trees, given["layout"])(project.path / "data/01_raw" / given["folder"])


@pytest.mark.parametrize("environment", ["streethazards", "bdd_anomaly"])
def test_a_benchmark_that_trains_runs_on_its_official_layout(bare, environment):
    lay_out(bare, environment)
    trained = {f"model.{name}": value for name, value in TRAINED.items()}
    bare.run("--params", params(**trained, **AUTOENCODER), env=environment)
    table, prepared = outcome(bare, environment)
    assert prepared["images"] == COUNTS[environment]
    assert set(table.loc[table["gap"].notna(), "detector"]) == {"kl_matching"}
    assert table.loc[table["gap"].isna(), ["auroc", "aupr", "fpr95"]].notna().all(axis=None)


@pytest.mark.parametrize("environment", ["lost_and_found", "road_anomaly"])
def test_a_checkpoint_is_evaluated_as_it_is(bare, environment):
    lay_out(bare, environment)
    network = build_segmenter("pspnet_resnet10", 19, seed=0, start="random", width=8)
    weights = {f"module.{name}": value for name, value in network.state_dict().items()}
    missing = bare.kedro("run", "--params", params(), env=environment)
    assert missing.code != 0
    assert "checkpoint=FILE" in missing.output
    assert "Traceback" not in missing.output
    torch.save({"epoch": 40, "state_dict": weights}, bare.path / "weights.pth")
    given = f"{params()},checkpoint=weights.pth"
    bare.run("--params", given, env=environment)
    table, prepared = outcome(bare, environment)
    assert prepared["images"] == COUNTS[environment]
    assert set(table.loc[table["gap"].notna(), "detector"]) == {"kl_matching", "background"}
    assert set(table.loc[table["gap"].isna(), "detector"]) == {"msp", "max_logit", "mc_dropout", "energy", "logit_avg"}
    assert (bare.path / f"data/06_models/{environment}/segmentation/model/record.json").exists()


def test_the_released_codes_network_is_evaluated_by_the_command_of_the_data_page(bare):
    lay_out(bare, "streethazards")
    network = build_segmenter("pspnet_resnet101_deepstem", 13, seed=0, start="random")
    save_file(network.state_dict(), bare.path / "segmenter.safetensors")
    page = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
    (given,) = re.findall(r"^kedro run --env streethazards --params (\S+deepstem\S+)$", page, flags=re.MULTILINE)
    small = "segmentation.model.longest_edge=64,segmentation.model.least_miou=0.0"
    bare.run("--params", f"{given},{small}", env="streethazards")
    table, prepared = outcome(bare, "streethazards")
    assert prepared["images"] == COUNTS["streethazards"]
    assert set(table.loc[table["gap"].notna(), "detector"]) == {"kl_matching"}
    assert set(table["model"].dropna()) == {"pspnet_resnet101_deepstem"}


def test_a_copy_of_road_anomaly_with_converted_labels_is_refused_in_words(bare):
    lay_out(bare, "road_anomaly")
    for path in (bare.path / "data/01_raw/road_anomaly/frames").rglob("labels_semantic.png"):
        ids = np.asarray(Image.open(path))
        Image.fromarray((ids == 2).astype(np.uint8)).save(path)
    torch.save({"never.used": torch.zeros(1)}, bare.path / "weights.pth")
    told = bare.kedro(
        "run", "--pipelines", "data_preparation", "--params", f"{params()},checkpoint=weights.pth", env="road_anomaly"
    )
    assert told.code != 0
    assert "Traceback" not in told.output
    assert "they are those of road_anomaly_binary (data.labels)" in " ".join(told.output.split())


def test_a_checkpoint_of_another_network_is_refused(bare):
    lay_out(bare, "road_anomaly")
    wrong = build_segmenter("pspnet_resnet10", 7, seed=0, start="random", width=8)
    torch.save(wrong.state_dict(), bare.path / "wrong.pth")
    outcome = bare.kedro("run", "--params", f"{params()},checkpoint=wrong.pth", env="road_anomaly")
    assert outcome.code != 0
    assert "Traceback" not in outcome.output
    assert "does not fit PSPNet" in outcome.output
    assert "(7, 8, 1, 1) instead of (19, 8, 1, 1)" in outcome.output


OWN = """
multi_class: false
multi_label: false
segmentation:
  fabrication: false
  data:
    data_set: own
    source: photographs
    layout: paired_folders
    folder: own
    paired:
      splits:
        train: {images: leftImg8bit/train, labels: gtFine/train, role: train, SUFFIXES}
        val: {images: leftImg8bit/val, labels: gtFine/val, role: validation, SUFFIXES}
        odd: {images: leftImg8bit/odd, labels: gtFine/odd, role: test, SUFFIXES}
      ids: {0: 0, 1: 1, 9: anomaly, 255: void}
      names: {0: road, 1: car, 9: sheep}
"""


def test_people_bring_their_own_scenes_with_yaml_alone(bare):
    scene_trees.own_folders(bare.path / "data/01_raw/own")
    (bare.path / "conf/own").mkdir()
    suffixes = "image_suffix: _leftImg8bit, label_suffix: _gtFine_labelTrainIds"
    (bare.path / "conf/own/parameters.yml").write_text(OWN.replace("SUFFIXES", suffixes))
    (bare.path / "conf/own/globals.yml").write_text("benchmark: {segmentation: own}\n")
    trained = {f"model.{name}": value for name, value in TRAINED.items()}
    bare.run("--params", params(**trained, **AUTOENCODER), env="own")
    table, prepared = outcome(bare, "own")
    assert prepared["classes"] == ["road", "car"]
    assert prepared["images"] == {"train": 4, "validation": 2, "test": 2}
    assert table.loc[table["gap"].isna(), "auroc"].notna().all()
