"""One or more classifiers that look at the same images: one per kind of labels and seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from scaling_ood.models.architectures import architecture
from scaling_ood.models.classifier import Classifier

TRAINED = ("none", "head", "network")


@dataclass(frozen=True)
class Variant:
    """One of the classifiers.

    Attributes:
        labels: Which labels it knows, `fine` or `coarse`.
        seed: Of its initialisation and of the order of its training images.
        classes: Number of classes C.
    """

    labels: str
    seed: int
    classes: int

    @property
    def name(self) -> str:
        """Such as `fine_seed0`."""
        return f"{self.labels}_seed{self.seed}"


class ForwardPass(NamedTuple):
    """What one classifier makes of N images; fields are called as those of `scaling_ood.detectors.Outputs`.

    Attributes:
        logits: (N, C).
        features: (N, D) penultimate features; None where nobody reads them.
        confidence: (N,) logit of the confidence, of a network with a confidence branch.
        rotation_loss: (N,) of a network with a rotation head.
    """

    logits: torch.Tensor
    features: torch.Tensor | None = None
    confidence: torch.Tensor | None = None
    rotation_loss: torch.Tensor | None = None


class SharedBackbone(nn.Module):
    """Linear heads on one frozen backbone, which runs once for all of them."""

    def __init__(self, backbone: nn.Module, heads: Mapping[str, nn.Linear]) -> None:
        """Join them; the heads' names are the variants'."""
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict(heads)

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        """Outputs of each variant for normalised images (N, 3, H, W)."""
        features = self.backbone(images)
        return {name: ForwardPass(head(features), features) for name, head in self.heads.items()}

    def logits_of(self, variant: str) -> Callable[[torch.Tensor], torch.Tensor]:
        """One variant alone: network input to logits."""
        return nn.Sequential(self.backbone, self.heads[variant])

    def last_layers(self) -> dict[str, nn.Linear]:
        """The layer of each variant that makes logits of the features."""
        return {name: _linear(head) for name, head in self.heads.items()}


class Separate(nn.Module):
    """Classifiers that share nothing."""

    def __init__(self, classifiers: Mapping[str, Classifier]) -> None:
        """Join them; the names are the variants'."""
        super().__init__()
        self.classifiers = nn.ModuleDict(classifiers)

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        """Outputs of each variant for normalised images (N, 3, H, W)."""
        outputs = {}
        for name, classifier in self.classifiers.items():
            assert isinstance(classifier, Classifier)
            features = classifier.backbone(images)
            outputs[name] = ForwardPass(classifier.head(features), features)
        return outputs

    def logits_of(self, variant: str) -> Callable[[torch.Tensor], torch.Tensor]:
        """One variant alone: network input to logits."""
        return self.classifiers[variant]

    def last_layers(self) -> dict[str, nn.Linear]:
        """The layer of each variant that makes logits of the features."""
        return {name: _linear(classifier.head) for name, classifier in self.classifiers.items()}


def _linear(layer: object) -> nn.Linear:
    assert isinstance(layer, nn.Linear)
    return layer


class ClassCountError(ValueError):
    """The published head has another number of classes than the data set."""


def trainable(name: str, training: str, variant: Variant, *, pretrained: bool = False) -> nn.Module:
    """The module that training optimises for one variant: a head for cached features, or a whole classifier.

    Its random weights depend on the variant's seed alone; with `pretrained` only those of the head are random.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(variant.seed)
        built = architecture(name)
        head = nn.Linear(built.features, variant.classes)
        return head if training == "head" else Classifier(built.build(pretrained)[0], head)


def assemble(
    name: str, training: str, variants: list[Variant], states: Mapping[str, Mapping[str, torch.Tensor]]
) -> SharedBackbone | Separate:
    """The network of a benchmark, ready for inference.

    Args:
        name: Registered architecture.
        training: `none`, `head` or `network`.
        variants: Its classifiers.
        states: State dict of each variant's trained module, by the variant's name; not read for `none`.

    Returns:
        Module in evaluation mode: normalised images (N, 3, H, W) to a `ForwardPass` per variant.

    Raises:
        ClassCountError: Published head and data set differ in their number of classes.
        RuntimeError: A state does not fit the architecture.
    """
    built = architecture(name)
    if training == "network":
        classifiers = {}
        for variant in variants:
            module = Classifier(built.build(False)[0], nn.Linear(built.features, variant.classes))
            module.load_state_dict(dict(states[variant.name]))
            classifiers[variant.name] = module
        return Separate(classifiers).eval()
    backbone, head = built.build(True)
    heads = {}
    for variant in variants:
        if training == "none":
            heads[variant.name] = _published(name, head, variant)
        else:
            heads[variant.name] = nn.Linear(built.features, variant.classes)
            heads[variant.name].load_state_dict(dict(states[variant.name]))
    return SharedBackbone(backbone, heads).eval()


def _published(name: str, head: nn.Linear | None, variant: Variant) -> nn.Linear:
    if head is None or head.out_features != variant.classes:
        given = 0 if head is None else head.out_features
        raise ClassCountError(
            f"the published head of {name} has {given:,} classes, but the data set has {variant.classes:,}: "
            "they must be the same classes, in the same order"
        )
    return head
