"""The last layer of a classifier, for detectors that change the features before it."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import nn

from scaling_ood.detectors.products import times


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

    def on(self, features: torch.Tensor) -> LinearHead:
        """The layer on the device of features (N, D) and of their type.

        Raises:
            ValueError: The features have another width than the layer.
        """
        if features.shape[1] != self.weight.shape[1]:
            raise ValueError(
                f"the features have {features.shape[1]:,} dimensions, but the last layer takes {self.weight.shape[1]:,}"
            )
        return LinearHead(self.weight.to(features), self.bias.to(features))

    def around(self, centre: torch.Tensor) -> tuple[LinearHead, float]:
        """The layer for features from which a centre (D,) was taken off, and what has to be added to its logits.

        Where features have a large offset, its logits keep the digits that tell images apart.
        """
        base = centre.double() @ self.weight.to(centre.device).double().T + self.bias.to(centre.device).double()  # (C,)
        top = base.max()
        return LinearHead(self.weight.to(centre.device), base - top), float(top)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of features (N, D), of their type, at least float32.

        Raises:
            ValueError: The features have another width than the layer.
        """
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        weight, bias = self.on(wide)
        return times(wide, weight.T).add_(bias)
