"""Every benchmark of labelled scenes, dry-run on a tree of chance in its official layout, with a tiny network."""

import re

import numpy as np
import pytest
import scene_trees
import torch
import yaml
from kedro_project import ROOT, Project
from PIL import Image
from safetensors.torch import save_file

from scaling_ood.models.segmentation import build_segmenter

pytestmark = pytest.mark.slow

TINY = {"architecture": "pspnet_resnet10", "width": "8", "longest_edge": "64"}
TRAINED = {"weights": "trained", "epochs": "1", "steps_per_epoch": "1", "batch_images": "2", "least_quality": "0.0"}
AUTOENCODER = {"networks.autoencoder.epochs": "1", "networks.autoencoder.batch_images": "2"}
COUNTS = {
    "streethazards": {"train": 4, "validation": 2, "test": 3},
    "bdd_anomaly": {"train": 4, "validation": 2, "test": 3},
    "lost_and_found": {"test": 3},
    "road_anomaly": {"test": 3},
}


def params(**options):
    given = {f"networks.segmenter.{name}": value for name, value in TINY.items()}
    return ",".join(f"segmentation.{name}={value}" for name, value in {**given, **options}.items())


def outcome(project, environment):
    return project.results("segmentation", environment), project.preparation("segmentation", environment)


def run(project, given, environment):
    """Up to the table: the report and the tracked runs are the same everywhere."""
    project.run("--to-outputs", "segmentation.results", "--params", given, env=environment)


@pytest.fixture
def bare(tmp_path):
    """A project of its own, without products."""
    return Project.copy(tmp_path / "project")


def lay_out(project, environment):
    given = yaml.safe_load((project.path / f"conf/{environment}/parameters.yml").read_text())["segmentation"]["data"]
    getattr(scene_trees, given["layout"])(project.path / "data/01_raw" / given["folder"])


@pytest.mark.parametrize("environment", ["streethazards", "bdd_anomaly"])
def test_a_benchmark_that_trains_runs_on_its_official_layout(bare, environment):
    lay_out(bare, environment)
    trained = {f"networks.segmenter.{name}": value for name, value in TRAINED.items()}
    run(bare, params(**trained, **AUTOENCODER), environment)
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
    missing.refused("checkpoint=FILE")
    torch.save({"epoch": 40, "state_dict": weights}, bare.path / "weights.pth")
    run(bare, f"{params()},checkpoint=weights.pth", environment)
    table, prepared = outcome(bare, environment)
    assert prepared["images"] == COUNTS[environment]
    gaps = table[table["gap"].notna()].drop_duplicates("detector").set_index("detector")["gap"]
    untrained = {"confidence_branch", "autoencoder"}
    assert set(gaps.index) == {"kl_matching", "background", *untrained}
    assert all("this benchmark trains none" in gaps[name] for name in untrained)
    assert set(table.loc[table["gap"].isna(), "detector"]) == {"msp", "max_logit", "mc_dropout", "energy", "logit_avg"}
    assert bare.product("06_models/*/segmenter/model/record.json", "segmentation", environment).exists()


def test_the_released_codes_network_is_evaluated_by_the_command_of_the_data_page(bare):
    lay_out(bare, "streethazards")
    network = build_segmenter("pspnet_resnet101_deepstem", 13, seed=0, start="random")
    save_file(network.state_dict(), bare.path / "segmenter.safetensors")
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    (given,) = re.findall(r"^kedro run --env streethazards --params (\S+deepstem)$", page, flags=re.MULTILINE)
    tiny = {"longest_edge": "64", "scales": "[64]", "least_quality": "0.0"}
    small = ",".join(f"segmentation.networks.segmenter.{name}={value}" for name, value in tiny.items())
    run(bare, f"{given},{small}", "streethazards")
    table, prepared = outcome(bare, "streethazards")
    assert prepared["images"] == COUNTS["streethazards"]
    assert set(table.loc[table["gap"].notna(), "detector"]) == {"kl_matching", "confidence_branch", "autoencoder"}
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
    told.refused("road_anomaly_binary")
    assert "they are those of road_anomaly_binary (data.label_map)" in " ".join(told.output.split())


def test_a_checkpoint_of_another_network_is_refused(bare):
    lay_out(bare, "road_anomaly")
    wrong = build_segmenter("pspnet_resnet10", 7, seed=0, start="random", width=8)
    torch.save(wrong.state_dict(), bare.path / "wrong.pth")
    told = bare.kedro("run", "--params", f"{params()},checkpoint=wrong.pth", env="road_anomaly")
    told.refused("does not fit PSPNet", "(7, 8, 1, 1) instead of (19, 8, 1, 1)")


OWN = """
segmentation:
  data:
    in_dist: own
    layout: paired_folders
    folder: own
    paired:
      splits:
        train: {images: leftImg8bit/train, labels: gtFine/train, role: train, SUFFIXES}
        val: {images: leftImg8bit/val, labels: gtFine/val, role: validation, SUFFIXES}
        odd: {images: leftImg8bit/odd, labels: gtFine/odd, role: test, SUFFIXES}
      ids: {0: 0, 1: 1, 9: anomaly, 255: void}
      names: {0: road, 1: car, 9: sheep}
  networks:
    segmenter: {architecture: pspnet_resnet10, weights: trained}
"""


def test_people_bring_their_own_scenes_with_yaml_alone(bare):
    scene_trees.own_folders(bare.path / "data/01_raw/own")
    (bare.path / "conf/own").mkdir()
    suffixes = "image_suffix: _leftImg8bit, label_suffix: _gtFine_labelTrainIds"
    (bare.path / "conf/own/parameters.yml").write_text(OWN.replace("SUFFIXES", suffixes))
    trained = {f"networks.segmenter.{name}": value for name, value in TRAINED.items()}
    run(bare, params(**trained, **AUTOENCODER), "own")
    table, prepared = outcome(bare, "own")
    assert prepared["classes"] == ["road", "car"]
    assert prepared["images"] == {"train": 4, "validation": 2, "test": 2}
    assert table.loc[table["gap"].isna(), "auroc"].notna().all()
