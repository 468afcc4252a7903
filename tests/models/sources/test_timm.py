"""Backbones of timm against timm's own networks and transforms."""

import re

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import nn

from scaling_ood.images import Preprocessing
from scaling_ood.models import Architecture, architecture, published_digest, weights_digest
from scaling_ood.models.sources.timm import _preprocessing


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224", "crossvit_9_240"])
def test_the_features_have_the_recorded_width(name: str) -> None:
    registered = architecture(f"timm:{name}")
    backbone, head = registered.build(False)
    size = registered.preprocessing.crop_px
    with torch.inference_mode():
        assert backbone.eval()(torch.zeros(1, 3, size, size)).shape == (1, registered.features)
    assert head is None


def test_backbone_and_head_are_the_whole_network_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_preprocessing_and_source_are_those_of_the_weights_record() -> None:
    registered = architecture("timm:resnet50.tv_in1k")
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert registered.preprocessing == Preprocessing(256, 224, "bilinear", *imagenet)
    assert registered.weights == f"timm {timm.__version__}, resnet50.tv_in1k (bsd-3-clause)"
    assert (registered.features, registered.classes) == (2048, 1000)
    wide = architecture("timm:tresnet_m.miil_in21k")
    assert (wide.preprocessing.mean, wide.preprocessing.std, wide.classes) == ((0.0,) * 3, (1.0,) * 3, 11221)


# Every crop mode, sizes whose quotients are no whole numbers, both interpolations, a crop larger than the image.
RECORDS = (
    "resnet50.tv_in1k",
    "resnet18.a1_in1k",
    "mobilenetv3_small_050.lamb_in1k",
    "vit_tiny_patch16_224.augreg_in21k",
    "swin_tiny_patch4_window7_224.ms_in1k",
    "tf_efficientnet_lite0.in1k",
    "efficientnet_b3.ra2_in1k",
    "inception_v3.tv_in1k",
    "tresnet_m.miil_in21k",
    "crossvit_9_240.in1k",
    "levit_128.fb_dist_in1k",
    "volo_d4_448.sail_in1k",
    "dm_nfnet_f0.dm_in1k",
    "dm_nfnet_f1.dm_in1k",
    "dm_nfnet_f3.dm_in1k",
    "tf_efficientnetv2_b3.in21k_ft_in1k",
    "convnext_small.in12k_ft_in1k_384",
    "coat_lite_medium_384.in1k",
    "eva02_tiny_patch14_336.mim_in22k_ft_in1k",
    "vit_base_patch32_clip_384.openai_ft_in12k_in1k",
    "deepseek_vit_412m.deepseek_v4_flash_vision_exp",
)


@pytest.mark.parametrize("name", RECORDS)
def test_pixels_are_those_of_timms_own_transform(name: str) -> None:
    record = timm.get_pretrained_cfg(name)
    transform = create_transform(**resolve_data_config(pretrained_cfg=record.to_dict()), normalize=False)
    preprocessing = _preprocessing(name, record)
    random = np.random.default_rng(0)
    for size in ((500, 333), (333, 500), (90, 131), (640, 640)):
        noise = random.integers(0, 256, (size[1] // 8, size[0] // 8, 3)).astype(np.uint8)
        image = Image.fromarray(noise).resize(size)
        assert torch.equal(preprocessing.crop(image), transform(image)), size


def test_a_head_that_is_no_linear_layer_leaves_a_backbone_only() -> None:
    registered: Architecture = architecture("timm:deit_tiny_distilled_patch16_224")
    assert (registered.classes, bool(registered.weights)) == (0, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", "has no network 'resnet51'; did you mean 'timm:resnet51q'?"),
        ("resnet18.tv_in1", "timm:resnet18 has no published weights 'tv_in1'; did you mean 'tv_in1k'?"),
        ("vit_base_patch16_sapiens2", "prepared in a way that is not supported: 1024 x 768 pixels"),
    ],
)
def test_what_timm_does_not_have_or_this_project_not_support_is_named(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        architecture(f"timm:{name}")
