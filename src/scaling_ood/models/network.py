"""What every network is here: a part that encodes images, which networks may share, and heads on what it left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import nn

Start = Literal["published", "random"]
"""What a backbone begins with: its published weights or random ones, which also do where a state is loaded next."""


class Network(nn.Module, ABC):
    """A network of one seed.

    Attributes:
        gives: Names of what one plain pass leaves, such as `logits`, `features`, `confidence`, `rotations` and
            `reconstruction_error`; `gradients` where these reach the inputs, and `dropout` where there are
            `dropout_passes`.
        posterior: What makes probabilities of its logits.
    """

    gives: frozenset[str]
    posterior: Literal["softmax", "sigmoid"] = "softmax"

    @abstractmethod
    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the heads read, of normalised images (N, 3, H, W)."""

    @abstractmethod
    def decode(self, encoded: torch.Tensor) -> dict[str, torch.Tensor]:
        """Everything that the network gives, of what `encode` made: name to (N, ...)."""

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Everything that the network gives for normalised images (N, 3, H, W); while training perhaps more."""
        return self.decode(self.encode(inputs))

    def dropout_passes(self, encoded: torch.Tensor, passes: int, seed: int) -> Iterator[torch.Tensor]:  # noqa: ARG002
        """Logits of one pass after the other, each with a dropout mask of its own: what Monte Carlo dropout repeats.

        Args:
            encoded: From `encode`.
            passes: How many.
            seed: Of the masks.

        Raises:
            ValueError: The network has no dropout before its logits.
        """
        raise ValueError(f"{type(self).__name__} has no dropout before its logits")

    @property
    def last_layer(self) -> nn.Linear | None:
        """Features to logits, where that is one linear layer."""
        return None

    @property
    def shared(self) -> nn.Module:
        """What `encode` runs: networks that have the same share one run of it."""
        return self


def encode_all(networks: Mapping[str, Network], inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the heads of each network read, by its name; what several networks share runs once.

    Args:
        networks: By name.
        inputs: (N, 3, H, W), normalised.
    """
    runs: dict[nn.Module, torch.Tensor] = {}
    for network in networks.values():
        if network.shared not in runs:
            runs[network.shared] = network.encode(inputs)
    return {name: runs[network.shared] for name, network in networks.items()}
