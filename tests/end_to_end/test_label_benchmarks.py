"""VOC and COCO: the paper's settings, and a dry run on trees of chance in the official layouts.

The paper's ResNet-101 gives way to a smaller one of its family. Published weights cannot be had here, so the backbone
starts from chance: a file under their name, in a folder of PyTorch's own kind. The whole network is trained for one
epoch on four images.
"""

import json

import label_trees
import pytest
import torch
from kedro.config import OmegaConfigLoader
from kedro_project import DETECTORS, ROOT, Project
from torchvision import models

from scaling_ood.images.multi_label.voc import CLASSES
from scaling_ood.models import architecture
from scaling_ood.parameters.data_sets import PublishedSpec
from scaling_ood.parameters.multi_label import LabelledSetSpec
from scaling_ood.products.preparation import Preparation
from scaling_ood.settings import CONFIG_LOADER_ARGS
from scaling_ood.structure import checked

BENCHMARKS = ["voc", "coco"]
# The local outlier factor looks at 20 neighbours.
IMAGES = {"voc": {"train": 4, "val": 21, "test": 3}, "coco": {"train": 4, "val": 3, "test": 2}}
GAPS = {"voc": set(), "coco": {"local_outlier_factor"}}
NETWORK = "resnet18"
SHORT = {"architecture": NETWORK, "epochs": 1, "batch_images": 4, "least_quality": 0.0}
MAKE = {"voc": label_trees.voc, "coco": label_trees.coco}


@pytest.fixture
def bare(tmp_path):
    """A project of its own, without products."""
    return Project.copy(tmp_path / "project")


def configured(environment):
    """The one setting of a benchmark, as `kedro run` would have it."""
    loader = OmegaConfigLoader(str(ROOT / "conf"), env=environment, **CONFIG_LOADER_ARGS)
    settings = checked(loader["parameters"])
    assert list(settings) == ["multi_label"]
    return settings["multi_label"]


def lay_out(project, environment):
    raw = project.path / "data/01_raw"
    MAKE[environment](raw / environment, IMAGES[environment])
    label_trees.unseen_classes(raw / "multi_label_ood")
    return raw


@pytest.mark.parametrize("environment", BENCHMARKS)
def test_settings_are_the_papers(environment):
    task, spec = configured(environment)
    network, dropout = spec.networks["classifier"], spec.networks["dropout"]
    assert (network.architecture, network.weights, network.width) == ("resnet101", "fine_tuned", 1000)
    assert (network.learning_rate, network.backbone_learning_rate) == (1e-4, 1e-5)
    assert (network.epochs, network.batch_images, network.averaging, network.precision) == (
        *(50, 40),
        *("trapezoid", "float32"),
    )
    assert (network.dropout, dropout.dropout) == (0.0, 0.5)
    assert dropout == network.model_copy(update={"dropout": 0.5})
    # The released code's `Resize((256, 256))`, and the normalisation of ImageNet's weights.
    prepared = Preparation(
        **{"benchmark": "", "setting": "", "in_dist": "", "ood": (), "places": {}, "classes": ()},
        **{"sources": {}, "images": {}, "digests": {}},
    )
    own = task.preprocessing(network, prepared)
    assert (own.crop_px, own.resize_px, own.squash, own.interpolation) == (256, 256, True, "bilinear")
    assert (own.mean, own.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert "IMAGENET1K_V1" in architecture(network.architecture).weights
    assert (spec.extraction.precision, spec.methods["mc_dropout"].options["passes"]) == ("float32", 10)
    assert list(spec.methods) == DETECTORS["multi_label"]
    read = {name: method.network for name, method in spec.methods.items()}
    assert read == {**dict.fromkeys(read, "classifier"), "mc_dropout": "dropout"}
    assert not any(method.options for name, method in spec.methods.items() if name != "mc_dropout")
    assert (spec.reporting.positive_classes, spec.reporting.fpr_rule) == (("in_dist", "ood"), "nearest")


@pytest.mark.parametrize(
    ("environment", "labelled"),
    [
        ("voc", LabelledSetSpec(layout="voc", folder="voc", year=2012, unlabelled=("test",))),
        ("coco", LabelledSetSpec(layout="coco", folder="coco", year=2014)),
    ],
)
def test_data_are_the_papers(environment, labelled):
    data = configured(environment).spec.data
    assert data.labelled == labelled.model_copy(update={"published": PublishedSpec(data_set=environment)})
    assert data.labelled.hard_objects == "counted"
    for role, split in (("train", "train"), ("fit", "val"), ("test", "test")):
        part = getattr(data, role)
        assert (part.split, part.share) == (split, None)
    assert data.ood == ("ood_classes",)
    unseen = data.sets["ood_classes"]
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
    weights = bare.path / "torch/hub/checkpoints" / architecture(NETWORK).weights_file
    weights.parent.mkdir(parents=True)
    # Without the residual blocks' last scale, what random layers add up to would overflow.
    torch.save(models.get_model(NETWORK, zero_init_residual=True).state_dict(), weights)
    short = ",".join(f"multi_label.networks.classifier.{name}={value}" for name, value in SHORT.items())
    bare.run("--to-outputs", "multi_label.report", "--params", short, env=environment)

    prepared = bare.preparation("multi_label", environment)
    images = dict(zip(("train", "fit", "test"), IMAGES[environment].values(), strict=True))
    assert prepared["images"] == {**images, "ood_classes": 20}
    about = json.loads(
        bare.product("06_models/*/classifier/model/record.json", "multi_label", environment).read_text()
    )["about"]
    assert about["architecture"] == NETWORK
    assert "squashed to 256 px" in about["input"]
    quality = json.loads(
        bare.product("07_model_output/*/classifier/quality/record.json", "multi_label", environment).read_text()
    )
    assert quality["fields"]["images"] == {"fit": images["fit"]}

    table = bare.results("multi_label", environment)
    assert list(table["detector"].unique()) == DETECTORS["multi_label"]
    assert set(table.loc[table["detector"] == "mc_dropout", "network"]) == {"dropout"}
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
    raw, (task, spec) = lay_out(bare, "voc"), configured("voc")
    labelled = spec.data.labelled.model_copy(update={"year": 2007, "unlabelled": ()})
    data = spec.data.model_copy(update={"in_dist": "voc_2007", "labelled": labelled})
    manifest, _ = task.prepare(data, "voc", {"photographs": str(raw)}, 0, None)
    test = manifest.of("test")
    assert len(test) == IMAGES["voc"]["test"]
    for path, labels in zip(test["path"], test["labels"], strict=True):
        xml = (raw / "voc/VOCdevkit/VOC2007/Annotations" / path.rsplit("/", 1)[1].replace("jpg", "xml")).read_text()
        assert [CLASSES[int(label)] for label in labels.split(";")] == [
            name for name in CLASSES if f"<name>{name}</name>" in xml
        ]
