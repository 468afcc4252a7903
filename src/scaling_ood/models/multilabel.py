"""Multi-label networks as in the paper (section 4): a published backbone and two linear layers.

A class's probability is the sigmoid of its logit; classes are independent of one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models.architectures import architecture
from scaling_ood.models.network import ForwardPass, Variant


class MultiLabelHead(nn.Module):
    """Features (N, D) -> linear -> batch norm -> ReLU -> dropout -> linear -> logits (N, C).

    The dropout layer is an addition: the released code has none, its row of numbers for dropout comes from batch norm.

    Attributes:
        hidden: Features (N, D) to penultimate features (N, width).
        dropout: Between the two.
        output: Penultimate features to logits.
    """

    def __init__(self, features: int, classes: int, *, width: int = 1000, dropout: float = 0.5) -> None:
        """Build it with random weights.

        Args:
            features: Width D of the backbone's output.
            classes: Number of classes C.
            width: Of the penultimate features.
            dropout: Share of them that training (and Monte Carlo dropout) sets to zero, in [0, 1).
        """
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.hidden = nn.Sequential(nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of backbone features (N, D)."""
        logits: torch.Tensor = self.output(self.dropout(self.penultimate(features)))
        return logits

    def penultimate(self, features: torch.Tensor) -> torch.Tensor:
        """(N, width), at least 0: all that lies before the dropout."""
        hidden: torch.Tensor = self.hidden(features)
        return hidden

    def classify(self, hidden: torch.Tensor, dropout: bool = False) -> torch.Tensor:
        """Logits (N, C) of penultimate features, once, with or without dropout."""
        logits: torch.Tensor = self.output(functional.dropout(hidden, self.dropout.p, dropout))
        return logits

    def dropout_passes(self, hidden: torch.Tensor, passes: int, seed: int) -> Iterator[torch.Tensor]:
        """Logits (N, C) of one pass after the other, each with a dropout mask of its own.

        A pass has the same mask for all images, by the seed: what an image gets depends neither on the others of its
        batch nor on their order.

        Args:
            hidden: Penultimate features (N, width).
            passes: How many.
            seed: Of the masks.
        """
        generator = torch.Generator().manual_seed(seed)
        kept = 1 - self.dropout.p
        for _ in range(passes):
            mask = torch.rand(self.output.in_features, generator=generator).lt(kept) / kept  # (width,)
            yield self.output(hidden * mask.to(hidden.device, hidden.dtype))


class MultiLabelClassifier(nn.Module):
    """Backbone and head; the backbone's batch norms are frozen for good, affine parameters included.

    "due to an insufficient number of images for proper mean and variance estimation" (the paper, section 4). They keep
    the statistics of the published weights in training too.

    Attributes:
        backbone: Images (N, 3, H, W) to features (N, D).
        head: Features to logits.
    """

    def __init__(self, backbone: nn.Module, head: MultiLabelHead) -> None:
        """Join the two; their widths must agree."""
        super().__init__()
        self.backbone = backbone
        self.head = head
        for norm in self._frozen():
            norm.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> MultiLabelClassifier:
        """Set the mode of everything but the frozen batch norms."""
        super().train(mode)
        for norm in self._frozen():
            norm.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of normalised images (N, 3, H, W)."""
        logits: torch.Tensor = self.head(self.encode(images))
        return logits

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Pooled backbone features (N, D) of normalised images."""
        features: torch.Tensor = self.backbone(images)
        return features

    def penultimate(self, images: torch.Tensor) -> torch.Tensor:
        """Penultimate features (N, width) of normalised images: the part that Monte Carlo dropout runs once."""
        return self.head.penultimate(self.encode(images))

    def classify(self, hidden: torch.Tensor, dropout: bool = False) -> torch.Tensor:
        """Logits (N, C) of penultimate features, once, with or without dropout."""
        return self.head.classify(hidden, dropout)

    def _frozen(self) -> list[nn.Module]:
        return [part for part in self.backbone.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]


class MultiLabelNetworks(nn.Module):
    """The networks of all variants, which look at the same images; a backbone that they share runs once.

    Attributes:
        classifiers: Of each variant, by its name.
    """

    def __init__(self, classifiers: Mapping[str, MultiLabelClassifier], shared: bool) -> None:
        """Join them; `shared` says that they all have the same backbone."""
        super().__init__()
        self.classifiers = nn.ModuleDict(classifiers)
        self.shared = shared

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        """Logits and penultimate features of each variant for normalised images (N, 3, H, W)."""
        outputs: dict[str, ForwardPass] = {}
        features: torch.Tensor | None = None
        for name in self.classifiers:
            classifier = self.classifier(name)
            features = classifier.encode(images) if features is None or not self.shared else features
            hidden = classifier.head.penultimate(features)
            outputs[name] = ForwardPass(classifier.classify(hidden), hidden)
        return outputs

    def classifier(self, name: str) -> MultiLabelClassifier:
        """The network of one variant."""
        found = self.classifiers[name]
        assert isinstance(found, MultiLabelClassifier)
        return found


def build_multilabel_head(
    name: str, classes: int, *, seed: int = 0, width: int = 1000, dropout: float = 0.5
) -> MultiLabelHead:
    """The head on an architecture's features: what is trained on a frozen backbone, from cached features.

    Its initial weights depend on the seed and the sizes alone: they are the same on a backbone that is trained as well.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MultiLabelHead(architecture(name).features, classes, width=width, dropout=dropout)


def build_multilabel(
    name: str, classes: int, *, pretrained: bool, seed: int = 0, width: int = 1000, dropout: float = 0.5
) -> MultiLabelClassifier:
    """The whole network, with a new head.

    Args:
        name: Architecture of the backbone.
        classes: Number of classes C.
        pretrained: Whether the backbone takes its published weights; not needed where a state is loaded afterwards.
        seed: Of the new weights.
        width: Of the penultimate features.
        dropout: Share of them that is dropped, in [0, 1).

    Raises:
        ValueError: Unknown name, or published weights are wanted where there are none.
        WeightsUnavailableError: The published weights cannot be loaded.
    """
    if pretrained and not architecture(name).weights:
        raise ValueError(
            f"'{name}' has no published weights, and its batch norms are frozen: it cannot be trained here"
        )
    head = build_multilabel_head(name, classes, seed=seed, width=width, dropout=dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MultiLabelClassifier(architecture(name).build(pretrained)[0], head)


def assemble_multilabel(
    name: str,
    training: Literal["head", "network"],
    variants: Sequence[Variant],
    states: Mapping[str, Mapping[str, torch.Tensor]],
    *,
    width: int = 1000,
    dropout: float = 0.5,
) -> MultiLabelNetworks:
    """The networks of a benchmark, ready for inference.

    Args:
        name: Architecture of the backbone.
        training: What was trained: `head` of `build_multilabel_head`, or `network` of `build_multilabel`.
        variants: Its networks.
        states: State dict of each variant's trained module, by the variant's name.
        width: Of the penultimate features.
        dropout: Share of them that Monte Carlo dropout drops.

    Returns:
        Module in evaluation mode: normalised images (N, 3, H, W) to a `ForwardPass` per variant, whose features are the
        penultimate ones (N, width).

    Raises:
        RuntimeError: A state does not fit.
    """
    shared = architecture(name).build(True)[0] if training == "head" else None
    classifiers = {}
    for variant in variants:
        head = build_multilabel_head(name, variant.classes, width=width, dropout=dropout)
        classifier = MultiLabelClassifier(architecture(name).build(False)[0] if shared is None else shared, head)
        (classifier if shared is None else head).load_state_dict(dict(states[variant.name]))
        classifiers[variant.name] = classifier
    return MultiLabelNetworks(classifiers, shared=shared is not None).eval()
