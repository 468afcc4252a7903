"""The paper's multi-class benchmarks, dry-run on trees of chance in the official layouts, with the real networks.

Published weights are of no use to images of chance: each network gets random ones from a file, by the way that a person
takes who provides a checkpoint. All benchmarks share one process, whose budget is 240
seconds of a processor (190 were measured); `dry_runs.json` has the seconds of each.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import image_trees
import pandas as pd
import pytest
import torch
from kedro_project import Project
from safetensors.torch import load_file

from scaling_ood.images.class_lists import class_list
from scaling_ood.models import architecture

pytestmark = pytest.mark.slow

PER_CLASS = 5
WIDE = 2048
OOD_IMAGES = 2
SPECIES = dict.fromkeys(image_trees.SUPERCATEGORIES, 1)
SYNTHETIC = ("gaussian", "rademacher", "blobs")
BOTH_RANGES = (*SYNTHETIC, *(f"{name}_tensor" for name in SYNTHETIC))
PLACES = (*BOTH_RANGES, "textures", "places69")
IMAGENET = (*BOTH_RANGES, "textures", "lsun", "places365")
CIFAR = (*SYNTHETIC, "textures", "lsun", "places365")
SUPERCATEGORIES = tuple(name.lower() for name in image_trees.SUPERCATEGORIES)
TIMM = {
    "species_tresnet_m": ("timm:tresnet_m.miil_in21k", 2048),
    "species_vit_b16": ("timm:vit_base_patch16_224_miil.in21k", 768),
    "species_mixer_b16": ("timm:mixer_b16_224.miil_in21k", 768),
}
FORMS = {
    "imagenet_1k": ("resnet50", 1000, 2048, IMAGENET),
    "places365": ("resnet50", 365, 2048, PLACES),
    **{name: (network, 11_221, width, SUPERCATEGORIES) for name, (network, width) in TIMM.items()},
}
"""Network, classes, width of the features and OOD sets of each benchmark that evaluates weights as they are."""

TINY = {
    "data": {"fit": {"per_class": PER_CLASS - 2}},
    "model": {"least_top1": 0.0},
    "reporting": {"examples": 1},
}
NOISE = {name: {"images": OOD_IMAGES} for name in BOTH_RANGES}


def lay_out(root):
    """All data sets that the benchmarks read, once."""
    image_trees.imagenet(root / "imagenet", PER_CLASS)
    image_trees.imagenet_21k_p(root / "imagenet21k", PER_CLASS)
    image_trees.places365(root / "places365", PER_CLASS)
    for name in ("places69", "dtd", "lsun"):
        getattr(image_trees, name)(root / name, OOD_IMAGES)
    image_trees.species(root / "species", SPECIES, OOD_IMAGES)
    image_trees.cifar10(root / "cifar10", 30)


def write_checkpoint(path, network, classes):
    """Random weights of a network, in the form of a training of several processors' worth."""
    torch.manual_seed(0)
    state = architecture(network).whole.build(classes).state_dict()
    torch.save({"epoch": 90, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)


def params(environment, **changes):
    """Run-time parameters of a small run."""
    common = {"data_sets": NOISE, **TINY, **changes}
    return {"runtime": {"workers": 0, "batch_images": 8}, "multi_class": common}


def plan(root):
    """Every benchmark with its parameters."""
    runs = []
    for environment, (network, classes, width, _) in FORMS.items():
        file = root / f"{environment}.pth.tar"
        write_checkpoint(file, network, classes)
        # ViM decomposes the last layer, which takes 20 s of a processor where it is 11,221 x 2,048.
        changes = {"model": {"least_top1": 0.0, "weights": "checkpoint"}, "detectors": {"vim": width < WIDE and {}}}
        runs.append((environment, {"checkpoint": str(file), **params(environment, **changes)}))
    cifar = {"data": {"train": {"per_class": 6}, "fit": {"per_class": 9}}}
    cifar["model"] = {"least_top1": 0.0, "epochs": 1}
    runs.append(("cifar10", params("cifar10", **cifar)))
    # Fine-tuning wants the published weights of its network: one whose weights are installed takes its place.
    ecology = {"data": {}, "model": {"least_top1": 0.0, "epochs": 1, "architecture": "efficientnet_lite0"}}
    ecology["data_sets"] = {f"species_{part}": {"folder": "ecology"} for part in ("known", "held_out")}
    runs.append(("species_ecology", params("species_ecology", **ecology)))
    return runs


@pytest.fixture(scope="module")
def dry(tmp_path_factory):
    """A project in which every benchmark has run, and what became of each run."""
    root = tmp_path_factory.mktemp("benchmarks")
    project = Project.copy(root / "project")
    lay_out(project.path / "data/01_raw")
    image_trees.species(project.path / "data/01_raw/ecology", {"Fish": 3, "Fungi": 2}, 6)
    (root / "plan.json").write_text(json.dumps(plan(root)))
    script = Path(__file__).parents[1] / "dry_runs.py"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "KEDRO"))}
    environment |= {"PYTHONPATH": str(project.path / "src"), "DO_NOT_TRACK": "1"}
    command = [sys.executable, str(script), str(project.path), str(root / "plan.json")]
    done = subprocess.run(command, cwd=project.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return project.path, json.loads((project.path / "dry_runs.json").read_text()), done.stderr


def products(dry, environment):
    path, outcomes, _ = dry
    assert not outcomes[environment]["problem"], outcomes[environment]["problem"]
    prepared = json.loads((path / f"data/02_manifests/{environment}/multi_class/preparation.json").read_text())
    return prepared, pd.read_csv(path / f"data/08_reporting/{environment}/multi_class/results.csv")


@pytest.mark.parametrize("environment", FORMS)
def test_weights_from_a_file_run_from_the_official_layout_to_the_table(dry, environment):
    _, classes, width, ood = FORMS[environment]
    prepared, table = products(dry, environment)
    assert tuple(prepared["ood"]) == ood
    assert prepared["images"] == {"fit": 6, "test": 4, **dict.fromkeys(ood, OOD_IMAGES)} | (
        {"places365": 2 * PER_CLASS} if environment == "imagenet_1k" else {}
    )
    assert len(prepared["classes"]) == classes
    measured = table[table["gap"].isna()]
    assert {"msp", "max_logit", "energy"} <= set(measured["detector"])
    assert set(measured["ood_set"]) >= {*ood, "mean"}
    assert measured[["auroc", "aupr", "fpr95"]].notna().all(axis=None)
    ranges = measured.drop_duplicates("ood_set").set_index("ood_set")["noise_range"].dropna()
    assert dict(ranges[ranges.index.isin(BOTH_RANGES)]) == {
        name: "tensor" if name.endswith("_tensor") else "pixel" for name in BOTH_RANGES if name in ood
    }
    outputs = dry[0] / f"data/07_model_output/{environment}/multi_class/outputs"
    (shard,) = outputs.rglob("test-00000*.safetensors")
    stored = load_file(shard)
    assert stored["fine_seed0/logits"].shape == (4, classes)
    assert stored["fine_seed0/features"].shape == (4, width)
    half = environment.startswith("species")
    assert stored["fine_seed0/logits"].dtype == (torch.float16 if half else torch.float32)


@pytest.mark.parametrize("environment", FORMS)
def test_the_weights_and_what_belongs_to_them_are_recorded(dry, environment):
    products(dry, environment)
    record = json.loads((dry[0] / f"data/06_models/{environment}/multi_class/model/record.json").read_text())
    assert len(record["about"]["checkpoint"]) == 64
    assert record["about"]["preprocessing.crop_px"] == "224"


def test_labels_follow_the_order_of_the_head_though_the_copy_lacks_classes(dry):
    for environment, (first, last) in {
        "species_vit_b16": (7, 11_220),
        "imagenet_1k": (0, 999),
        "places365": (0, 364),
    }.items():
        products(dry, environment)
        manifest = pd.read_parquet(dry[0] / f"data/02_manifests/{environment}/multi_class/manifest.parquet")
        assert set(manifest.loc[manifest["image_set"] == "test", "label"]) == {first, last}
    assert class_list("imagenet_21k_p", dry[0])[11_220] in set(
        pd.read_parquet(dry[0] / "data/02_manifests/species_vit_b16/multi_class/manifest.parquet")["class_name"]
    )


def test_a_partial_copy_is_named_and_no_error(dry):
    prepared, _ = products(dry, "species_tresnet_m")
    assert "fungi: species (paper), Fungi: 2 images, expected 163,049 (the paper, Table 7)" in prepared["differences"]
    assert "expected 163,049" in dry[2]
    report = (dry[0] / "data/08_reporting/species_tresnet_m/multi_class/report.html").read_text()
    assert "expected 163,049" in report


def test_disk_use_is_told_before_the_first_image(dry):
    products(dry, "species_tresnet_m")
    # 30 images of 11,221 logits and 2,048 features in half precision
    assert "Outputs take 796.1 kB on disk when all are there: features, logits (float16)" in dry[2]


def test_a_small_network_is_trained_on_cifar10(dry):
    prepared, table = products(dry, "cifar10")
    assert prepared["images"]["train"] == 60
    assert set(table.loc[table["detector"] == "msp", "ood_set"]) >= {*CIFAR, "mean"}
    ranges = table.loc[table["ood_set"].isin(SYNTHETIC), "noise_range"]
    assert set(ranges) == {"tensor"}


def test_held_out_species_are_of_the_supercategories_of_the_known_ones(dry):
    prepared, table = products(dry, "species_ecology")
    manifest = pd.read_parquet(dry[0] / "data/02_manifests/species_ecology/multi_class/manifest.parquet")
    unknown = set(manifest.loc[manifest["image_set"] == "species_held_out", "class_name"])
    assert len(prepared["classes"]) == 3
    assert not unknown & set(prepared["classes"])
    assert {name.split("/")[0] for name in unknown} == {"Fish", "Fungi"}
    assert table.loc[table["detector"] == "max_logit", "auroc"].notna().all()
