"""Classifiers that learn a second task beside the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from scaling_ood.models.architectures import architecture
from scaling_ood.models.network import Variant


class TwoLogits(NamedTuple):
    """What two heads make of N images: logits (N, C) of the classes, and (N, K) of the second task."""

    classes: torch.Tensor
    second: torch.Tensor


class TwoHeads(nn.Module):
    """Two linear heads on the same features, or on one hidden layer that both of them shape.

    On features that are trained, no hidden layer is needed. On frozen ones the second task has an effect on the classes
    only through a layer that both share.

    Attributes:
        hidden: Features (N, D) to (N, width), linear and ReLU; without a width the features themselves.
        head: To logits (N, C) of the classes.
        second: To logits (N, K) of the second task.
    """

    def __init__(self, features: int, classes: int, second: int, *, width: int = 0) -> None:
        """Build them with random weights; without a hidden layer, the head's are those of a classifier's head."""
        super().__init__()
        self.head = nn.Linear(width or features, classes)
        self.second = nn.Linear(width or features, second)
        self.hidden: nn.Module = nn.Sequential(nn.Linear(features, width), nn.ReLU()) if width else nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of the classes, as of any head."""
        return self.both(features).classes

    def both(self, features: torch.Tensor) -> TwoLogits:
        """What both heads make of features (N, D)."""
        hidden = self.hidden(features)
        return TwoLogits(self.head(hidden), self.second(hidden))


class TwoHeaded(nn.Module):
    """Backbone and two heads.

    Attributes:
        backbone: Images (N, 3, H, W) to features (N, D).
        heads: On the features.
    """

    def __init__(self, backbone: nn.Module, heads: TwoHeads) -> None:
        """Join the two; their widths must agree."""
        super().__init__()
        self.backbone = backbone
        self.heads = heads

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of the classes, as of any classifier."""
        return self.both(images).classes

    def both(self, images: torch.Tensor) -> TwoLogits:
        """What both heads make of normalised images (N, 3, H, W)."""
        return self.heads.both(self.backbone(images))


class TwoHeadedNetworks(nn.Module):
    """The two-headed networks of all variants, which look at the same images; a backbone that they share runs once.

    Attributes:
        networks: Of each variant, by its name.
        shared: Whether all have the same backbone.
    """

    def __init__(self, networks: Mapping[str, TwoHeaded], shared: bool) -> None:
        """Join them."""
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.shared = shared

    def both(self, images: torch.Tensor) -> dict[str, TwoLogits]:
        """What both heads of each variant make of normalised images (N, 3, H, W)."""
        outputs: dict[str, TwoLogits] = {}
        features: torch.Tensor | None = None
        for name, network in self.networks.items():
            assert isinstance(network, TwoHeaded)
            features = network.backbone(images) if features is None or not self.shared else features
            outputs[name] = network.heads.both(features)
        return outputs


def build_two_headed(
    name: str, training: str, variant: Variant, second: int, *, width: int = 0, pretrained: bool = False
) -> TwoHeads | TwoHeaded:
    """The module that training optimises for one variant: heads for cached features, or a whole network.

    Its random weights depend on the variant's seed alone.

    Args:
        name: Registered architecture.
        training: `head` or `network`.
        variant: Seed and number of classes.
        second: Number K of logits of the second task.
        width: Of the hidden layer before the heads; 0 without.
        pretrained: Whether a whole network starts from the published weights of its backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(variant.seed)
        built = architecture(name)
        heads = TwoHeads(built.features, variant.classes, second, width=width)
        return heads if training == "head" else TwoHeaded(built.build(pretrained)[0], heads)


def trained_two_headed(
    name: str,
    training: str,
    variants: Sequence[Variant],
    states: Mapping[str, Mapping[str, torch.Tensor]],
    second: int,
    *,
    width: int = 0,
    frozen: nn.Module | None = None,
) -> dict[str, TwoHeaded]:
    """The network of each variant, by its name, with trained weights.

    Args:
        name: Registered architecture.
        training: What was trained by `build_two_headed`: `head` or `network`.
        variants: Which networks.
        states: State dict of each variant's trained module.
        second: Number K of logits of the second task.
        width: Of the hidden layer.
        frozen: The backbone of trained heads; by default the published one. The identity makes networks for features.

    Raises:
        RuntimeError: A state does not fit.
    """
    if frozen is None and training == "head":
        frozen = architecture(name).build(True)[0]
    networks = {}
    for variant in variants:
        module = build_two_headed(name, training, variant, second, width=width)
        module.load_state_dict(dict(states[variant.name]))
        if isinstance(module, TwoHeads):
            assert frozen is not None
            module = TwoHeaded(frozen, module)
        networks[variant.name] = module
    return networks
