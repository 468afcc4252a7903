"""Networks for whole images: a backbone that ends in one feature vector, and a head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from scaling_ood.models.chance import seeded
from scaling_ood.models.heads import ClassHead, Head, ReadyLogits
from scaling_ood.models.network import Network, Start
from scaling_ood.models.sources import architecture


class ClassCountError(ValueError):
    """The published head has another number of classes than the data set."""


class ImageNetwork(Network):
    """Backbone and head.

    Attributes:
        backbone: Images (N, 3, H, W) to features (N, D); the identity makes a network for stored features.
        head: Features to everything that the network gives.
    """

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        """Join the two; their widths must agree."""
        super().__init__()
        self.backbone = backbone
        self.head = head
        runs_backwards = getattr(backbone, "runs_backwards", True)
        self.gives, self.posterior = head.gives | ({"gradients"} if runs_backwards else set()), head.posterior
        for norm in self._frozen():
            norm.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> ImageNetwork:
        """Set the mode of everything but the frozen batch norms."""
        super().train(mode)
        for norm in self._frozen():
            norm.eval()
        return self

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Backbone features (N, D) of normalised images."""
        features: torch.Tensor = self.backbone(inputs)
        return features

    def decode(self, encoded: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the head gives."""
        outputs: dict[str, torch.Tensor] = self.head(encoded)
        return outputs

    def dropout_passes(self, encoded: torch.Tensor, passes: int, seed: int) -> Iterator[torch.Tensor]:
        """Logits (N, C) of one pass after the other, see `Head.dropout_passes`."""
        return self.head.dropout_passes(encoded, passes, seed)

    @property
    def last_layer(self) -> nn.Linear | None:
        """Penultimate features to logits; None where the backbone gives these itself."""
        return None if isinstance(self.head, ReadyLogits) else self.head.output

    @property
    def shared(self) -> nn.Module:
        """The backbone."""
        return self.backbone

    def _frozen(self) -> list[nn.Module]:
        parts = self.backbone.modules() if self.head.frozen_norms else ()
        return [part for part in parts if isinstance(part, nn.modules.batchnorm._BatchNorm)]


def build_head(name: str, head: Callable[[int], Head], *, seed: int) -> Head:
    """A head for an architecture's features, to be trained alone; its initial weights depend on the seed alone.

    Args:
        name: Of the architecture.
        head: Width D of the features to the head, such as `partial(ClassHead, classes=10)`.
        seed: Of its weights.
    """
    with seeded(seed):
        return head(architecture(name).features)


def build_network(name: str, head: Callable[[int], Head], *, seed: int, start: Start) -> ImageNetwork:
    """A whole network; the weights that are new depend on the seed alone, and the head's are those of `build_head`.

    Args:
        name: Of the architecture.
        head: Width D of the features to the head.
        seed: Of the new weights.
        start: Of the backbone.

    Raises:
        ValueError: Unknown name, or published weights are wanted where there are none.
        WeightsUnavailableError: The published weights cannot be loaded.
    """
    built = architecture(name)
    if start == "published" and not built.weights:
        raise ValueError(f"'{name}' has no published weights to start from")
    with seeded(seed):
        new = head(built.features)
        return ImageNetwork(built.build(start == "published")[0], new)


def published_network(name: str, classes: int, order: Sequence[int] = ()) -> ImageNetwork:
    """A network with all its published weights.

    Args:
        name: Of the architecture.
        classes: Number of classes C of the data set.
        order: Which of its outputs each class of the data set is; empty where they have the same order.

    Raises:
        ClassCountError: The published head has another number, or there is none.
        WeightsUnavailableError: The published weights cannot be loaded.
    """
    built = architecture(name)
    backbone, published = built.build(True)
    given = built.classes if "features" not in built.gives else 0 if published is None else published.out_features
    if given != classes:
        raise ClassCountError(
            f"the published head of {name} has {given:,} classes, but the data set has {classes:,}: "
            "they must be the same classes, in the same order (or in that of class_order)"
        )
    if published is None:
        return ImageNetwork(backbone, ReadyLogits(order))
    return class_network(backbone, published, order)


def class_network(backbone: nn.Module, linear: nn.Linear, order: Sequence[int] = ()) -> ImageNetwork:
    """A backbone and a linear layer for the classes that are there already, as one network.

    Args:
        backbone: Images to what the layer reads.
        linear: Features to logits.
        order: Which of its outputs each class of the data set is; empty where they have the same order.
    """
    head = ClassHead(linear.in_features, linear.out_features)
    if order:
        bias = linear.weight.new_zeros(len(order)) if linear.bias is None else linear.bias[list(order)]
        head.output.load_state_dict({"weight": linear.weight[list(order)], "bias": bias})
    else:
        head.output = linear
    return ImageNetwork(backbone, head)
