"""Backbones of timm: what happens without it, and against timm's own networks where it is installed."""

import re
import sys

import pytest
import torch
from torch import nn

from scaling_ood.images import Preprocessing
from scaling_ood.models import Architecture, architecture, published_digest, weights_digest
from scaling_ood.models.sources.timm import timm_architecture


def test_without_timm_its_networks_are_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    timm_architecture.cache_clear()
    with pytest.raises(ValueError, match="'timm:resnet18' is a network of timm, which cannot be imported: pip install"):
        architecture("timm:resnet18")


@pytest.fixture
def timm() -> object:
    timm_architecture.cache_clear()
    return pytest.importorskip("timm")


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224", "crossvit_9_240"])
def test_the_features_have_the_recorded_width(timm: object, name: str) -> None:
    registered = architecture(f"timm:{name}")
    backbone, head = registered.build(False)
    size = registered.preprocessing.crop_px
    with torch.inference_mode():
        assert backbone.eval()(torch.zeros(1, 3, size, size)).shape == (1, registered.features)
    assert head is None


def test_backbone_and_head_are_the_whole_network_cut_in_two(timm: object, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    whole = timm.create_model("resnet18").eval()

    def create(name: str, pretrained: bool) -> nn.Module:
        network = plain(name)
        if pretrained:
            network.load_state_dict(whole.state_dict())
        return network

    plain = timm.create_model
    monkeypatch.setattr(timm, "create_model", create)
    backbone, head = architecture("timm:resnet18").build(True)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(head(backbone.eval()(images)), whole(images))
    published_digest.cache_clear()
    halves = {**backbone.state_dict(), **{f"head.{name}": tensor for name, tensor in head.state_dict().items()}}
    assert published_digest("timm:resnet18") == weights_digest(halves)
    published_digest.cache_clear()


def test_preprocessing_and_source_are_those_of_the_weights_record(timm: object) -> None:
    registered = architecture("timm:resnet50.tv_in1k")
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert registered.preprocessing == Preprocessing(256, 224, "bilinear", *imagenet)
    assert registered.weights == f"timm {timm.__version__}, resnet50.tv_in1k (bsd-3-clause)"
    assert (registered.features, registered.classes) == (2048, 1000)
    wide = architecture("timm:tresnet_m.miil_in21k")
    assert (wide.preprocessing.mean, wide.preprocessing.std, wide.classes) == ((0.0,) * 3, (1.0,) * 3, 11221)


def test_a_head_that_is_no_linear_layer_leaves_a_backbone_only(timm: object) -> None:
    registered: Architecture = architecture("timm:deit_tiny_distilled_patch16_224")
    assert (registered.classes, bool(registered.weights)) == (0, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", "has no network 'resnet51'; did you mean 'timm:resnet51q'?"),
        ("resnet18.tv_in1", "timm:resnet18 has no published weights 'tv_in1'; did you mean 'tv_in1k'?"),
        ("volo_d4_448", "prepared in a way that is not supported: a crop of 1.15 of the image"),
    ],
)
def test_what_timm_does_not_have_or_this_project_not_support_is_named(timm: object, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        architecture(f"timm:{name}")
