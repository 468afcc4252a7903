"""Heads of networks for whole images: from a backbone's features to everything that a network gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import torch
from torch import nn

ROTATIONS = 4
"""Logits of a head for rotations: by 0, 90, 180 and 270 degrees, anticlockwise."""

Second = Literal["", "confidence", "rotations"]
"""What a class head learns beside the classes: nothing, whether it may be wrong, or by how much an image was turned."""


class Head(nn.Module):
    """Features (N, D) -> hidden layer -> dropout -> linear -> logits (N, C); can be trained alone, on stored features.

    Attributes:
        gives: Names of what it leaves, see `Network`: `features` are the penultimate ones.
        posterior: What makes probabilities of its logits.
        frozen_norms: Whether the batch norms of a backbone under it keep the published statistics for good.
        hidden: Features to penultimate features (N, width); the identity where there is no hidden layer.
        dropout: Of penultimate features, while training and in `dropout_passes`.
        output: Penultimate features to logits.
    """

    posterior: ClassVar[Literal["softmax", "sigmoid"]]
    frozen_norms: ClassVar[bool] = False

    def __init__(self, output: nn.Linear, hidden: nn.Module, dropout: float) -> None:
        """Join the layers; `dropout` is the share of penultimate features that is set to zero, in [0, 1)."""
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.hidden = hidden
        self.dropout = nn.Dropout(dropout)
        self.output = output
        self.gives = frozenset({"logits", "features", *(("dropout",) if dropout else ())})

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Everything that the head gives, by name, of a backbone's features (N, D)."""
        penultimate = self.hidden(features)
        return {"features": penultimate, **self.classify(self.dropout(penultimate))}

    def classify(self, penultimate: torch.Tensor) -> dict[str, torch.Tensor]:
        """What lies behind the dropout: `logits` (N, C), and what else is learnt, of penultimate features."""
        return {"logits": self.output(penultimate)}

    def dropout_passes(self, features: torch.Tensor, passes: int, seed: int) -> Iterator[torch.Tensor]:
        """Logits (N, C) of one pass after the other, each with a dropout mask of its own.

        A pass has the same mask for all images, by the seed: what an image gets depends neither on the others of its
        batch nor on their order.

        Args:
            features: Of the backbone, (N, D).
            passes: How many.
            seed: Of the masks.
        """
        penultimate = self.hidden(features)
        generator = torch.Generator().manual_seed(seed)
        kept = 1 - self.dropout.p
        for _ in range(passes):
            mask = torch.rand(self.output.in_features, generator=generator).lt(kept) / kept  # (width,)
            yield self.output(penultimate * mask.to(penultimate.device, penultimate.dtype))


class ClassHead(Head):
    """Classes that exclude each other, and perhaps a second task: another linear layer on the same features.

    On features that are trained, a second task needs no hidden layer. On frozen ones it has an effect on the classes
    only through a layer that both share.

    Attributes:
        second: Penultimate features to what is learnt beside the classes; None without.
    """

    posterior = "softmax"

    def __init__(
        self, features: int, classes: int, *, hidden: int = 0, dropout: float = 0.0, second: Second = ""
    ) -> None:
        """Build it with random weights, those of `output` first: they are the same with and without a second task.

        Args:
            features: Width D of the backbone's output.
            classes: Number of classes C.
            hidden: Width of a hidden layer, linear and ReLU; 0 for none.
            dropout: Share of the penultimate features that is dropped, in [0, 1).
            second: `confidence` gives the logit (N,) of the confidence, `rotations` the logits (N, 4) of how an image
                was turned.
        """
        output = nn.Linear(hidden or features, classes)
        beside = nn.Linear(hidden or features, 1 if second == "confidence" else ROTATIONS) if second else None
        layer = nn.Sequential(nn.Linear(features, hidden), nn.ReLU()) if hidden else nn.Identity()
        super().__init__(output, layer, dropout)
        self.second = beside
        self.gives |= {second} - {""}

    def classify(self, penultimate: torch.Tensor) -> dict[str, torch.Tensor]:
        """What lies behind the dropout: `logits` (N, C), and `confidence` (N,) or `rotations` (N, 4)."""
        outputs = super().classify(penultimate)
        if self.second is not None:
            beside = self.second(penultimate)
            outputs |= {"rotations": beside} if "rotations" in self.gives else {"confidence": beside.squeeze(1)}
        return outputs


class ReadyLogits(Head):
    """Stands behind a network that gives logits and nothing before them."""

    posterior = "softmax"

    def __init__(self, order: Sequence[int] = ()) -> None:
        """Set which of the logits each class is; empty where they have the same order."""
        super().__init__(nn.Linear(1, 1), nn.Identity(), 0.0)
        self.gives = frozenset({"logits"})
        self.order = list(order)

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """The logits (N, C) as they are."""
        return {"logits": features[:, self.order] if self.order else features}


class MultiLabelHead(Head):
    """That of the paper (section 4): linear -> batch norm -> ReLU -> dropout -> linear; each class has its own sigmoid.

    The dropout layer is an addition: the released code has none, its row of numbers for dropout comes from batch norm.
    The backbone's batch norms are frozen, affine parameters included, "due to an insufficient number of images for
    proper mean and variance estimation" (the paper, section 4).
    """

    posterior = "sigmoid"
    frozen_norms = True

    def __init__(self, features: int, classes: int, *, width: int = 1000, dropout: float = 0.5) -> None:
        """Build it with random weights.

        Args:
            features: Width D of the backbone's output.
            classes: Number of classes C.
            width: Of the penultimate features.
            dropout: Share of them that is dropped, in [0, 1).
        """
        hidden = nn.Sequential(nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU())
        super().__init__(nn.Linear(width, classes), hidden, dropout)
