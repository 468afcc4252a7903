"""A network for whole images that is built in a blink, with and without published weights."""

import pytest
import torch
from torch import nn

from scaling_ood.images import Preprocessing
from scaling_ood.models import ARCHITECTURES, Architecture, weights_digest

PREPROCESSING = Preprocessing(10, 8, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def build_toy(pretrained: bool) -> tuple[nn.Module, nn.Linear | None]:
    """Features (N, 5); the published weights are those of seed 7, the others come from the global generator."""
    with torch.random.fork_rng(enabled=pretrained):
        if pretrained:
            torch.manual_seed(7)
        backbone = nn.Sequential(
            nn.Conv2d(3, 5, 3, 2), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        return backbone, nn.Linear(5, 4) if pretrained else None


def published_state() -> dict[str, torch.Tensor]:
    """The published weights of the toy, head included."""
    backbone, head = build_toy(True)
    assert head is not None
    return {**backbone.state_dict(), **{f"head.{name}": tensor for name, tensor in head.state_dict().items()}}


TOY = Architecture(
    build_toy,
    features=5,
    preprocessing=PREPROCESSING,
    classes=4,
    published_top1=0.5,
    weights="made up",
    weights_digest=weights_digest(published_state()),
)
TOY_NETWORK = Architecture(build_toy, 5, preprocessing=PREPROCESSING)


@pytest.fixture
def toy_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register `toy`, with made-up published weights, and `toy_network`, without any."""
    monkeypatch.setitem(ARCHITECTURES, "toy", TOY)
    monkeypatch.setitem(ARCHITECTURES, "toy_network", TOY_NETWORK)
