"""The last layer of a classifier, for detectors that change the features before it."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import nn


class LinearHead(NamedTuple):
    """Features to logits: f W' + b.

    Attributes:
        weight: W, (C, D).
        bias: b, (C,).
    """

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, layer: nn.Linear) -> Self:
        """A copy of a layer's parameters, on the CPU; a layer without bias has one of 0.

        >>> LinearHead.of(nn.Linear(3, 2, bias=False)).bias.tolist()
        [0.0, 0.0]
        """
        bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
        return cls(layer.weight.detach().cpu().clone(), bias.detach().cpu().clone())

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of features (N, D), in float64.

        Raises:
            ValueError: The features have another width than the layer.
        """
        if features.shape[1] != self.weight.shape[1]:
            raise ValueError(
                f"the features have {features.shape[1]:,} dimensions, but the last layer takes {self.weight.shape[1]:,}"
            )
        weight, bias = (each.to(features.device).double() for each in self)
        return torch.addmm(bias, features.double(), weight.T)
