"""The paper's multi-class benchmarks, dry-run on trees of chance in the official layouts.

Published weights are of no use to images of chance: each network gets random ones from a file, by the way that a person
takes who provides a checkpoint. Two networks are the benchmarks' own, one of each library; the others give way to
smaller ones of the same family.
"""

import json
from collections.abc import Callable

import image_trees
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
FORMS = {
    "imagenet_1k": ("resnet18", 1000, 512, IMAGENET),
    "places365": ("resnet50", 365, 2048, PLACES),
    "species_tresnet_m": ("timm:tresnet_m.miil_in21k", 11_221, 2048, SUPERCATEGORIES),
    "species_vit_b16": ("timm:vit_tiny_patch16_224", 11_221, 192, SUPERCATEGORIES),
    "species_mixer_b16": ("timm:mixer_s16_224", 11_221, 512, SUPERCATEGORIES),
}
"""Network, classes, width of the features and OOD sets of each benchmark that evaluates weights as they are."""

# ODIN takes most of the time; two benchmarks leave it out as they are.
OFF = {"places365": {"detectors.odin": "false", "detectors.odin_max_logit": "false"}}


def lay_out(root):
    """All data sets that the benchmarks read, once."""
    image_trees.imagenet(root / "imagenet", PER_CLASS)
    image_trees.imagenet_21k_p(root / "imagenet21k", PER_CLASS)
    image_trees.places365(root / "places365", PER_CLASS)
    for name in ("places69", "dtd", "lsun"):
        getattr(image_trees, name)(root / name, OOD_IMAGES)
    image_trees.species(root / "species", SPECIES, OOD_IMAGES)
    image_trees.cifar10(root / "cifar10", 30)
    image_trees.species(root / "ecology", {"Fish": 3, "Fungi": 2}, 6)


def write_checkpoint(path, network, classes):
    """Random weights of a network, in the form of a training of several processors' worth."""
    torch.manual_seed(0)
    state = architecture(network).whole.build(classes).state_dict()
    torch.save({"epoch": 90, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)


def params(environment, folder):
    """Run-time parameters of a small run."""
    own = {"networks.classifier.least_quality": 0.0, "reporting.examples": 1, **OFF.get(environment, {})}
    general = {"runtime.workers": 0, "runtime.batch_images": 8}
    general |= {f"data_sets.{name}.images": OOD_IMAGES for name in BOTH_RANGES}
    if environment in FORMS:
        network, classes, width, _ = FORMS[environment]
        file = folder / f"{environment}.pth.tar"
        write_checkpoint(file, network, classes)
        general["checkpoint"] = file
        own |= {"data.fit.per_class": PER_CLASS - 2}
        own |= {"networks.classifier.weights": "checkpoint", "networks.classifier.architecture": network}
        if width == WIDE:
            # ViM decomposes the last layer, which takes 20 s of a processor where it is 11,221 x 2,048.
            own |= {"detectors.vim": "false"}
    else:
        own["networks.classifier.epochs"] = 1
    if environment == "cifar10":
        own |= {"data.train.per_class": 6, "data.fit.per_class": 9}
    if environment == "species_ecology":
        # Fine-tuning wants the published weights of its network: one whose weights are installed takes its place.
        own |= {"networks.classifier.architecture": "efficientnet_lite0", "networks.classifier.input_px": 64}
        general |= {f"data_sets.species_{part}.folder": "ecology" for part in ("known", "held_out")}
    given = {**general, **{f"multi_class.{name}": value for name, value in own.items()}}
    return ",".join(f"{name}={value}" for name, value in given.items())


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> Project:
    """A project with all data sets."""
    project = Project.copy(tmp_path_factory.mktemp("benchmarks") / "project")
    lay_out(project.path / "data/01_raw")
    return project


@pytest.fixture(scope="module")
def dry(trees, tmp_path_factory) -> Callable[[str], str]:
    """Runs a benchmark up to its report, once, and returns what was printed."""
    folder, printed = tmp_path_factory.mktemp("weights"), {}

    def run(environment: str) -> str:
        if environment not in printed:
            # What MLflow gets is the same everywhere, and takes as long as all else.
            wanted = ("--to-outputs", "multi_class.report", "--params", params(environment, folder))
            printed[environment] = trees.run(*wanted, env=environment).output
        return printed[environment]

    return run


@pytest.fixture
def made(trees, dry, environment):
    """What the preparation of a benchmark recorded, and its table."""
    dry(environment)
    return trees.preparation("multi_class", environment), trees.results("multi_class", environment)


@pytest.mark.parametrize("environment", FORMS)
def test_weights_from_a_file_run_from_the_official_layout_to_the_table(trees, made, environment):
    _, classes, width, ood = FORMS[environment]
    prepared, table = made
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
    stored = load_file(trees.product("07_model_output/*/classifier/outputs/test-00000.safetensors", env=environment))
    assert stored["seed0/logits"].shape == (4, classes)
    assert stored["seed0/features"].shape == (4, width)
    half = environment.startswith("species")
    assert stored["seed0/logits"].dtype == (torch.float16 if half else torch.float32)


@pytest.mark.parametrize("environment", FORMS)
def test_the_weights_and_what_belongs_to_them_are_recorded(trees, dry, environment):
    dry(environment)
    record = json.loads(trees.product("06_models/*/classifier/model/record.json", env=environment).read_text())
    assert len(record["made_from"]["checkpoint"]) == 64
    assert record["made_from"]["checkpoint"] in record["about"]["weights"]
    assert "centre crop 224 px" in record["about"]["input"]


@pytest.mark.parametrize(
    ("environment", "labels"),
    [("species_vit_b16", {7, 11_220}), ("imagenet_1k", {0, 999}), ("places365", {0, 364})],
)
def test_labels_follow_the_order_of_the_head_though_the_copy_lacks_classes(trees, dry, environment, labels):
    dry(environment)
    manifest = trees.manifest("multi_class", environment)
    assert set(manifest.loc[manifest["image_set"] == "test", "label"]) == labels
    if environment == "species_vit_b16":
        assert class_list("imagenet_21k_p", trees.path)[11_220] in set(manifest["class_name"])


@pytest.mark.parametrize("environment", ["species_tresnet_m"])
def test_a_partial_copy_is_named_and_no_error(trees, dry, made, environment):
    told = "fungi: species (paper), Fungi: 2 images, expected 163,049 (the paper, Table 7)"
    assert told in made[0]["found"]["differences"]
    assert "expected 163,049" in dry(environment)
    assert "expected 163,049" in trees.product("08_reporting/*/report.html", env=environment).read_text()


def test_disk_use_is_told_before_the_first_image(dry):
    # 30 images of 11,221 logits and 2,048 features in half precision
    told = "Outputs take 796.1 kB on disk when all are there: features, logits (float16)"
    assert told in dry("species_tresnet_m")


@pytest.mark.parametrize("environment", ["cifar10"])
def test_a_small_network_is_trained_on_cifar10(made, environment):
    prepared, table = made
    assert prepared["images"]["train"] == 60
    assert set(table.loc[table["detector"] == "msp", "ood_set"]) >= {*CIFAR, "mean"}
    ranges = table.loc[table["ood_set"].isin(SYNTHETIC), "noise_range"]
    assert set(ranges) == {"tensor"}, environment


@pytest.mark.parametrize("environment", ["species_ecology"])
def test_held_out_species_are_of_the_supercategories_of_the_known_ones(trees, made, environment):
    prepared, table = made
    manifest = trees.manifest("multi_class", environment)
    unknown = set(manifest.loc[manifest["image_set"] == "species_held_out", "class_name"])
    assert len(prepared["classes"]) == 3
    assert not unknown & set(prepared["classes"])
    assert {name.split("/")[0] for name in unknown} == {"Fish", "Fungi"}
    assert table.loc[table["detector"] == "max_logit", "auroc"].notna().all()
