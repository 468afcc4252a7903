"""VOC and COCO: the paper's settings, and a dry run on trees of chance in the official layouts, with its network.

Published weights are hundreds of megabytes, so the backbone starts from chance: a file under their name, in a folder of
PyTorch's own kind. What is trained for one epoch on four images is the whole network at its full size.
"""

import json
import shutil

import label_trees
import pandas as pd
import pytest
import torch
from kedro.config import OmegaConfigLoader
from kedro_project import LABEL_DETECTORS, ROOT, Project
from scaling_ood.label_preparation import label_preprocessing
from scaling_ood.pipelines.data_preparation.label_nodes import prepare_label_manifest
from torchvision import models
from toy_benchmark import preparation

from scaling_ood.images.multi_label.voc import CLASSES
from scaling_ood.models import architecture
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.multi_label import LabelledSetSpec
from scaling_ood.settings import CONFIG_LOADER_ARGS
from scaling_ood.structure import checked, detectors_of

BENCHMARKS = ["voc", "coco"]
# The local outlier factor looks at 20 neighbours.
IMAGES = {"voc": {"train": 4, "val": 21, "test": 3}, "coco": {"train": 4, "val": 3, "test": 2}}
GAPS = {"voc": set(), "coco": {"local_outlier_factor"}}
SHORT = {
    "model.epochs": "1",
    "model.batch_images": "4",
    "model.least_map": "0.0",
}
MAKE = {"voc": label_trees.voc, "coco": label_trees.coco}


@pytest.fixture
def bare(tmp_path):
    """A project of its own, without products; gigabytes of weights are not kept for the next test."""
    yield Project.copy(tmp_path / "project")
    shutil.rmtree(tmp_path)


def configured(environment):
    """The one setting of a benchmark, as `kedro run` would have it."""
    loader = OmegaConfigLoader(str(ROOT / "conf"), env=environment, **CONFIG_LOADER_ARGS)
    specs = checked(loader["parameters"])
    assert list(specs) == ["multi_label"]
    return specs["multi_label"]


def lay_out(project, environment):
    raw = project.path / "data/01_raw"
    MAKE[environment](raw / environment, IMAGES[environment])
    label_trees.unseen_classes(raw / "multi_label_ood")
    return raw


@pytest.mark.parametrize("environment", BENCHMARKS)
def test_settings_are_the_papers(environment):
    spec = configured(environment)
    model, own = spec.model, label_preprocessing(spec.model, preparation())
    assert (model.architecture, model.training, model.width) == ("resnet101", "network", 1000)
    assert (model.learning_rate, model.backbone_learning_rate) == (1e-4, 1e-5)
    assert (model.epochs, model.batch_images, model.averaging, model.precision) == (50, 40, "trapezoid", "float32")
    # The released code's `Resize((256, 256))`, and the normalisation of ImageNet's weights.
    assert (own.crop_px, own.resize_px, own.squash, own.interpolation) == (256, 256, True, "bilinear")
    assert (own.mean, own.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert "IMAGENET1K_V1" in architecture(model.architecture).weights
    assert (spec.extraction.precision, spec.extraction.dropout_passes) == ("float32", 10)
    assert detectors_of(spec) == LABEL_DETECTORS
    assert set(map(str, spec.detectors.values())) == {"{}"}
    assert (spec.reporting.positive_classes, spec.reporting.fpr_rule) == (("in_dist", "ood"), "nearest")


@pytest.mark.parametrize(
    ("environment", "labelled"),
    [
        ("voc", LabelledSetSpec(layout="voc", folder="voc", year=2012, unlabelled=("test",))),
        ("coco", LabelledSetSpec(layout="coco", folder="coco", year=2014)),
    ],
)
def test_data_are_the_papers(environment, labelled):
    spec = configured(environment)
    assert spec.data.labelled == labelled
    assert spec.data.labelled.hard_objects == "counted"
    for role, split in (("train", "train"), ("fit", "val"), ("test", "test")):
        part = getattr(spec.data, role)
        assert (part.split, part.share) == (split, None)
    assert spec.data.ood == ("ood_classes",)
    unseen = spec.data_sets.root["ood_classes"]
    assert (unseen.layout, unseen.folder, unseen.classes.table) == (
        "class_folders",
        "multi_label_ood",
        "multi_label_ood",
    )
    assert (unseen.classes.value, unseen.images) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize("environment", BENCHMARKS)
def test_a_benchmark_runs_on_its_official_layout(bare, monkeypatch, environment):
    lay_out(bare, environment)
    monkeypatch.setenv("TORCH_HOME", str(bare.path / "torch"))
    weights = bare.path / "torch/hub/checkpoints" / architecture("resnet101").weights_file
    weights.parent.mkdir(parents=True)
    # Without the residual blocks' last scale, what random layers add up to would overflow.
    torch.save(models.resnet101(zero_init_residual=True).state_dict(), weights)
    bare.run("--params", ",".join(f"multi_label.{name}={value}" for name, value in SHORT.items()), env=environment)

    products = f"{environment}/multi_label"
    prepared = json.loads((bare.path / f"data/02_manifests/{products}/preparation.json").read_text())
    images = dict(zip(("train", "fit", "test"), IMAGES[environment].values(), strict=True))
    assert prepared["images"] == {**images, "ood_classes": 20}
    about = json.loads((bare.path / f"data/06_models/{products}/model/record.json").read_text())["about"]
    assert (about["architecture"], about["training"], about["preprocessing.crop_px"]) == ("resnet101", "network", "256")
    accuracy = json.loads((bare.path / f"data/07_model_output/{products}/accuracy.json").read_text())
    assert accuracy["images"] == {"fit": images["fit"]}

    table = pd.read_csv(bare.path / f"data/08_reporting/{products}/results.csv")
    assert list(table["detector"].unique()) == LABEL_DETECTORS
    for _, rows in table.groupby("detector"):
        assert list(zip(rows["positive_class"], rows["ood_set"], strict=True)) == [
            (positive, name) for positive in ("in_dist", "ood") for name in ("ood_classes", "mean")
        ]
    assert set(table.loc[table["gap"].notna(), "detector"]) == GAPS[environment]
    assert table.loc[table["gap"].isna(), ["auroc", "aupr", "fpr95"]].notna().all(axis=None)
    rates = table[table["ood_set"] == "ood_classes"].groupby("positive_class")["base_rate"].unique()
    n_in = images["test"]
    assert {name: list(found) for name, found in rates.items()} == {
        "in_dist": [pytest.approx(n_in / (n_in + 20))],
        "ood": [pytest.approx(20 / (n_in + 20))],
    }


def test_voc_2007_is_a_year_away(bare):
    raw, spec, runtime = lay_out(bare, "voc"), configured("voc"), RuntimeSpec(device="cpu", workers=0)
    labelled = spec.data.labelled.model_copy(update={"year": 2007, "unlabelled": ()})
    data = spec.data.model_copy(update={"in_dist": "voc_2007", "labelled": labelled})
    manifest, _, _ = prepare_label_manifest(str(raw), spec.data_sets, data, spec.identity, runtime)
    test = manifest[manifest["image_set"] == "test"]
    assert len(test) == IMAGES["voc"]["test"]
    for path, labels in zip(test["path"], test["labels"], strict=True):
        xml = (raw / "voc/VOCdevkit/VOC2007/Annotations" / path.rsplit("/", 1)[1].replace("jpg", "xml")).read_text()
        assert [CLASSES[int(label)] for label in labels.split(";")] == [
            name for name in CLASSES if f"<name>{name}</name>" in xml
        ]
