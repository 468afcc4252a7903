"""Networks of a person's own files travel in the package, which needs the files no more."""

import base64
import io
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from helpers.bench import bench, only
from helpers.packaged import opened, packed, photographs
from helpers.programs import Small, export_onnx, export_pt2, export_torchscript
from helpers.saved_networks import resnet, save
from helpers.toys import COLOURS
from torch import nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

from scaling_ood.evaluation.chunks import stored_scenes
from scaling_ood.evaluation.fitting import fitted
from scaling_ood.evaluation.scene_tables import score_pixels
from scaling_ood.products.packages import PackageError, read_package
from scaling_ood.tasks.packing import NotPackagedError

LEVELS = {"preprocessing": {"mean": [0.5] * 3, "std": [0.5] * 3, "squash": True}}
SIZED = {"preprocessing": {**LEVELS["preprocessing"], "resize_px": 16, "crop_px": 16}}
EXPORTS = {"onnx": export_onnx, "pt2": export_pt2, "torchscript": export_torchscript}


def networks(**fields):
    return {"weights": "published", "least_quality": 0.0, **fields}


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def named_the_other_way(folder):
    file = folder / "order.txt"
    file.write_text("\n".join(sorted(COLOURS, reverse=True)))
    return str(file)


@pytest.mark.parametrize("source", EXPORTS)
def test_a_classifier_that_is_a_file_is_in_its_package(tmp_path, source):
    (tmp_path / "mine").mkdir()
    file = EXPORTS[source](Small(), tmp_path / "mine" / f"small.{source}", 16)
    classifier = networks(architecture=f"{source}:{file}", class_order=named_the_other_way(tmp_path), **SIZED)
    detectors = only("knn" if source == "onnx" else "max_logit")
    own = bench("multi_class", tmp_path, networks={"classifier": classifier}, detectors=detectors, data__train=None)
    (name,) = own.spec.methods
    deployed = opened(own, name, tmp_path)
    expected, images = own.load(f"{name}.scores").of(0)["test"], photographs(own, "test")
    classes = own.manifest.preparation.classes
    shutil.rmtree(tmp_path / "mine")
    answers = deployed.answers(images)
    np.testing.assert_allclose([each["score"] for each in answers], expected, rtol=1e-5, atol=1e-5)
    assert [each["class"] for each in answers] == [classes[index] for index in own.output("test").argmax(1).tolist()]
    assert files_of(tmp_path / name / "network_files") == [f"small.{source}"]


def test_a_folder_of_hugging_face_is_in_its_package(tmp_path):
    save(resnet(len(COLOURS)), tmp_path / "mine")
    classifier = networks(architecture=f"hf:{tmp_path / 'mine'}", class_order=named_the_other_way(tmp_path))
    own = bench("multi_class", tmp_path, networks={"classifier": classifier}, detectors=only("react"), data__train=None)
    expected, images = own.load("react.scores").of(0)["test"], photographs(own, "test")
    deployed = opened(own, "react", tmp_path)
    answers = deployed.answers(images)
    np.testing.assert_allclose([each["score"] for each in answers], expected, rtol=1e-5, atol=1e-5)
    kept = files_of(tmp_path / "react" / "network_files")
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} >= set(kept) >= {"config.json"}


def test_a_head_that_was_trained_on_a_program_is_in_its_package(tmp_path):
    file = export_pt2(Small(), tmp_path / "small.pt2", 16)
    classifier = {"architecture": f"pt2:{file}", "weights": "trained_head", "least_quality": 0.0, **LEVELS}
    own = bench("multi_class", tmp_path, networks={"classifier": classifier}, detectors=only("energy"))
    expected, images = own.load("energy.scores").of(0)["test"], photographs(own, "test")
    package = packed(own, "energy")
    assert all(name.startswith("head.") for name in package.network)
    answers = opened(own, "energy", tmp_path).answers(images)
    np.testing.assert_allclose([each["score"] for each in answers], expected, rtol=1e-5, atol=1e-5)


class Shades(nn.Module):
    """Two classes that differ everywhere."""

    def forward(self, images):
        grey = images.mean(dim=1, keepdim=True)
        return torch.cat([grey, -2 * grey], dim=1)


def shades(folder):
    return f"pt2:{export_pt2(Shades(), folder / 'shades.pt2', 32)}"


def segformer(folder):
    torch.manual_seed(0)
    small = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1]}
    config = SegformerConfig(num_labels=2, decoder_hidden_size=16, **small)
    SegformerForSemanticSegmentation(config).eval().save_pretrained(folder)
    SegformerImageProcessor(image_mean=[0.5] * 3, image_std=[0.25] * 3).save_pretrained(folder)
    return f"hf:{folder}"


@pytest.mark.parametrize("made", [shades, segformer])
def test_a_segmenter_of_ones_own_is_in_its_package_in_the_order_of_the_classes(tmp_path, made):
    (tmp_path / "order.txt").write_text("box\nground\n")
    (tmp_path / "mine").mkdir()
    name = made(tmp_path / "mine")
    levels = {"preprocessing": {"mean": [0.5] * 3, "std": [0.5] * 3}} if made is shades else {}
    segmenter = networks(architecture=name, class_order=str(tmp_path / "order.txt"), **levels)
    own = bench("segmentation", tmp_path, networks={"segmenter": segmenter}, detectors=only("max_logit"))
    deployed, method = opened(own, "max_logit", tmp_path), own.spec.methods["max_logit"]
    images = photographs(own, "test")
    outputs = own.outputs()
    shutil.rmtree(tmp_path / "mine")
    (answer,) = deployed.answers(images[:1])
    detector = fitted(method, partial(own.task.fit_view, outputs, own.manifest), 0, own.manifest)
    scene = next(iter(stored_scenes(outputs, own.manifest, "test")))
    shown = np.load(io.BytesIO(base64.b64decode(answer["map"])), allow_pickle=False)
    np.testing.assert_allclose(shown, score_pixels(detector, scene, 0), rtol=1e-5, atol=1e-5)
    package = read_package(tmp_path / "max_logit")
    assert package.about["class_order"] == [1, 0]
    ordered = own.task.revived(deployed._spec, own.manifest.preparation, package.network, package.about["class_order"])
    assert ordered.order == [1, 0]


def test_a_file_that_changed_in_the_package_is_refused(tmp_path):
    file = export_pt2(Small(), tmp_path / "small.pt2", 16)
    classifier = networks(architecture=f"pt2:{file}", **LEVELS)
    own = bench("multi_class", tmp_path, networks={"classifier": classifier}, detectors=only("msp"), data__train=None)
    opened(own, "msp", tmp_path)
    inside = tmp_path / "msp" / "network_files" / "small.pt2"
    inside.write_bytes(inside.read_bytes() + b"x")
    with pytest.raises(PackageError, match=r"network_files/small.pt2 in .* is not what was packaged"):
        read_package(tmp_path / "msp")


def test_a_network_of_the_hub_has_to_be_saved_first(tmp_path, monkeypatch):
    save(resnet(len(COLOURS)), tmp_path / "mine")
    classifier = networks(architecture=f"hf:{tmp_path / 'mine'}")
    own = bench("multi_class", tmp_path, networks={"classifier": classifier}, detectors=only("msp"), data__train=None)
    own.load("msp.scores")
    kind = type(own.spec.networks["classifier"])
    elsewhere = replace(own.spec.networks["classifier"].registered, files=())
    monkeypatch.setattr(kind, "registered", property(lambda _: elsewhere))
    with pytest.raises(NotPackagedError, match=r"is not on this machine as files of its own; save it into a folder"):
        packed(own, "msp")
