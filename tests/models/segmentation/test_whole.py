"""Segmenters of other libraries give the logits that their libraries give."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from helpers.programs import export_onnx, export_pt2, export_torchscript
from torch import nn
from torch.nn import functional
from torchvision import models

from scaling_ood.models import Checkpoint, CheckpointError
from scaling_ood.models.segmentation import RunAsItIs, build_segmenter, segmenter, stride_of

smp = pytest.importorskip("segmentation_models_pytorch")

IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def run(name: str, classes: int, start: Any = "published") -> RunAsItIs:
    network = build_segmenter(name, classes, seed=0, start=start).eval()
    assert isinstance(network, RunAsItIs)
    return network


def segformer(folder: Path, classes: int = 5, **names: Any) -> Any:
    torch.manual_seed(0)
    small = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1]}
    config = transformers.SegformerConfig(num_labels=classes, decoder_hidden_size=16, **small, **names)
    model = transformers.SegformerForSemanticSegmentation(config).eval()
    model.save_pretrained(folder)
    transformers.SegformerImageProcessor(image_mean=[0.4, 0.5, 0.6]).save_pretrained(folder)
    return model


def test_segformer_is_run_as_it_is_at_its_own_stride(tmp_path: Path) -> None:
    model = segformer(tmp_path)
    network = run(f"hf:{tmp_path}", 5)
    with torch.inference_mode():
        torch.testing.assert_close(network(IMAGES)["logits"], model(pixel_values=IMAGES).logits)
    assert stride_of(network) == 4
    registered = segmenter(f"hf:{tmp_path}")
    assert registered.preprocessing is not None
    assert registered.preprocessing.mean == pytest.approx((0.4, 0.5, 0.6))
    assert (registered.classes, registered.identity) == (5, f"hf:{registered.weights_digest}")


@pytest.mark.parametrize("architecture", ["unet", "fpn", "deeplabv3plus"])
def test_a_folder_of_segmentation_models_pytorch_is_run_as_it_is(architecture: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = smp.create_model(architecture, "resnet18", encoder_weights=None, classes=4).eval()
    model.save_pretrained(tmp_path)
    network = run(f"smp:{tmp_path}", 4)
    with torch.inference_mode():
        torch.testing.assert_close(network(IMAGES)["logits"], model(IMAGES))
    assert (segmenter(f"smp:{tmp_path}").classes, stride_of(network)) == (4, 1)


@pytest.mark.parametrize("name", ["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large", "fcn_resnet50"])
def test_torchvisions_logits_before_it_up_samples_them_are_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    auxiliary = {} if name.startswith("lraspp") else {"aux_loss": True}
    whole = models.get_model(name, weights=None, weights_backbone=None, **auxiliary).eval()
    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", lambda *_, **__: whole.state_dict())
    network = run(name, 21)
    with torch.inference_mode():
        logits = network(IMAGES)["logits"]
        expected = whole(IMAGES)["out"]
    found = functional.interpolate(logits, IMAGES.shape[2:], mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected)
    assert stride_of(network) == 64 // logits.shape[2] > 1


def test_a_file_of_the_library_is_adopted_without_what_only_its_training_reads() -> None:
    torch.manual_seed(0)
    name = "deeplabv3_mobilenet_v3_large"
    whole = models.get_model(name, weights=None, weights_backbone=None, num_classes=3, aux_loss=True).eval()
    network, registered = run(name, 3, "random"), segmenter(name)
    network.load_state_dict(network.adopted(registered, Checkpoint("a.pth", "", dict(whole.state_dict()))))
    with torch.inference_mode():
        torch.testing.assert_close(network(IMAGES)["logits"], whole.classifier(whole.backbone(IMAGES)["out"]))
    other = run(name, 4, "random")
    with pytest.raises(CheckpointError, match=r"its head classifier\.4 has 3 classes, but the data set has 4"):
        other.adopted(registered, Checkpoint("a.pth", "", dict(whole.state_dict())))


def test_lightnings_prefix_is_left_out_of_a_file_for_a_named_architecture() -> None:
    torch.manual_seed(0)
    model = smp.create_model("unet", "resnet18", encoder_weights=None, classes=3).eval()
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    network, registered = run("smp:unet.resnet18", 3, "random"), segmenter("smp:unet.resnet18")
    network.load_state_dict(network.adopted(registered, Checkpoint("a.ckpt", "", state)))
    with torch.inference_mode():
        torch.testing.assert_close(network(IMAGES)["logits"], model(IMAGES))


class Maps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.ReLU(), nn.Conv2d(6, 3, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


@pytest.mark.parametrize("kind", ["onnx", "pt2", "torchscript"])
def test_programs_are_segmenters_too(kind: str, tmp_path: Path) -> None:
    model = Maps().eval()
    export = {"onnx": export_onnx, "pt2": export_pt2, "torchscript": export_torchscript}[kind]
    name = f"{kind}:{export(model, tmp_path / 'net', 64)}"
    registered, images = segmenter(name), IMAGES[..., :64]
    network = run(name, 3)
    with torch.inference_mode():
        torch.testing.assert_close(network(images)["logits"], model(images), rtol=1e-4, atol=1e-5)
    assert (registered.classes, registered.size) == (3, None if kind == "torchscript" else (64, 64))
    assert network.gives == {"logits"} | ({"gradients"} if kind != "onnx" else set())


def test_outputs_are_put_into_another_order(tmp_path: Path) -> None:
    model = segformer(tmp_path)
    network = run(f"hf:{tmp_path}", 5).in_order([4, 0, 1, 2, 3])
    with torch.inference_mode():
        logits = model(pixel_values=IMAGES).logits
        torch.testing.assert_close(network(IMAGES)["logits"], logits[:, [4, 0, 1, 2, 3]])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smp:unett.resnet18", "no architecture 'unett'; did you mean 'unet'?"),
        ("smp:unet.resnet19", "no encoder 'resnet19'; did you mean 'resnet"),
        ("smp:./nowhere", "has no config.json and no model.safetensors"),
        ("hf:./nowhere", "there is no folder nowhere"),
        ("onnx:./nowhere.onnx", "there is no file nowhere.onnx"),
        ("deeplabv3_resnet50.imagenet", "has no published weights 'imagenet'"),
        ("unet", "unknown segmenter 'unet'"),
    ],
)
def test_what_there_is_not_is_told(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        segmenter(name)


def test_a_classifier_is_no_segmenter(tmp_path: Path) -> None:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="type 'resnet', which is not one for this setting"):
        segmenter(f"hf:{tmp_path}")
    shutil.rmtree(tmp_path)
