"""Pyramid scene parsing network (Zhao et al. 2017), as the paper trains it: PPM decoder with deep supervision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models.network import Network
from scaling_ood.models.segmentation.encoders import STRIDE, Encoder, Maps
from scaling_ood.models.segmentation.ragged import Ragged, groups_of
from scaling_ood.models.upsampling import upsample


class PyramidPooling(nn.Module):
    """The decoder: context from averages over 1, 4, 9 and 36 regions beside the encoder's map.

    Maps (N, D, h, w) to features (N, width, h, w).
    """

    def __init__(self, inputs: int, width: int, bins: Sequence[int]) -> None:
        """Build one branch per number of bins, and the convolution that joins them."""
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(count), *_convolution(inputs, width, 1)) for count in bins
        )
        self.join = nn.Sequential(*_convolution(inputs + len(bins) * width, width, 3))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Features of the encoder's deep map."""
        context = [_spread(branch(maps), maps) for branch in self.branches]
        joined: torch.Tensor = self.join(torch.cat([maps, *context], dim=1))
        return joined


class PSPNet(Network):
    """Encoder, pyramid pooling, classifier, and the auxiliary head that training needs.

    Attributes:
        dropout: Share of the feature channels that training (and Monte Carlo dropout) sets to zero.
    """

    def __init__(
        self,
        encoder: Encoder,
        classes: int,
        *,
        width: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        dropout: float = 0.1,
        confidence: bool = False,
    ) -> None:
        """Put new heads on an encoder.

        Args:
            encoder: Of output stride 8.
            classes: Number of classes C.
            width: Channels of the decoder.
            bins: Regions per side of each level of the pyramid.
            dropout: In [0, 1).
            confidence: Whether there is a head for the confidence of each pixel (DeVries & Taylor 2018).
        """
        super().__init__()
        middle, deep = encoder.widths
        self.dropout = dropout
        self.encoder = encoder
        self.decoder = PyramidPooling(deep, width, bins)
        self.classifier = nn.Conv2d(width, classes, 1)
        self.auxiliary = nn.Sequential(
            *_convolution(middle, middle // 2, 3), nn.Dropout2d(dropout), nn.Conv2d(middle // 2, classes, 1)
        )
        self.confidence = nn.Conv2d(width, 1, 1) if confidence else None
        others = {"confidence": confidence, "dropout": dropout > 0}
        self.gives = frozenset({"logits", "gradients", *(name for name, given in others.items() if given)})
        for name, part in self.named_modules():
            if not name.startswith("encoder"):
                _initialise(part)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Encoder and decoder, all that lies before the dropout: features (N, width, h, w) at stride 8.

        Raises:
            ValueError: A side of the images is no multiple of 8.
        """
        features: torch.Tensor = self.decoder(self._maps(inputs).deep)
        return features

    def decode(self, encoded: torch.Tensor) -> dict[str, torch.Tensor]:
        """`logits` (N, C, h, w) and, with its head, `confidence` (N, h, w) before the sigmoid."""
        dropped = functional.dropout2d(encoded, self.dropout, self.training)
        outputs = {"logits": self.classifier(dropped)}
        if self.confidence is not None:
            outputs["confidence"] = torch.squeeze(self.confidence(dropped), 1)
        return outputs

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Everything that testing and training need, at stride 8: while training also `auxiliary` (N, C, h, w).

        Args:
            inputs: Normalised images (N, 3, H, W). `Ragged` ones, of several sizes, give ragged outputs.
        """
        if not self.training:
            return super().forward(inputs)
        middle, deep = self._maps(inputs)
        return {**self.decode(self.decoder(deep)), "auxiliary": self.auxiliary(middle)}

    def dropout_passes(self, encoded: torch.Tensor, passes: int, seed: int) -> Iterator[torch.Tensor]:
        """Logits (N, C, h, w) of one pass after the other, each without other channels of each image's features.

        Args:
            encoded: From `encode`.
            passes: How many.
            seed: Of the masks, which are those that the network would draw from the global generator.
        """
        generator = torch.Generator(encoded.device).manual_seed(seed)
        kept = 1 - self.dropout
        for _ in range(passes):
            mask = encoded.new_empty(*encoded.shape[:2], 1, 1).bernoulli_(kept, generator=generator).div_(kept)
            yield self.classifier(encoded * mask)

    def _maps(self, images: torch.Tensor) -> Maps:
        for height, width in (group.shape[2:] for group in groups_of(images)):
            if height % STRIDE or width % STRIDE:
                raise ValueError(f"images of {height} x {width} pixels: both sides must be multiples of {STRIDE}")
        maps: Maps = self.encoder(images)
        return maps


def _spread(context: torch.Tensor | Ragged, maps: torch.Tensor | Ragged) -> Any:
    """What a branch saw, at every place of the maps that it looked at."""
    if isinstance(context, Ragged) or isinstance(maps, Ragged):
        pairs = zip(groups_of(context), groups_of(maps), strict=True)
        return Ragged(upsample(seen, group.shape[2:]).to(group.dtype) for seen, group in pairs)
    return upsample(context, maps.shape[2:]).to(maps.dtype)


def _convolution(inputs: int, outputs: int, kernel: int) -> tuple[nn.Conv2d, nn.BatchNorm2d, nn.ReLU]:
    return (
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _initialise(part: nn.Module) -> None:
    """The released code's: Kaiming-normal weights, norms of weight 1 and bias 1e-4."""
    if isinstance(part, nn.Conv2d):
        nn.init.kaiming_normal_(part.weight)
    elif isinstance(part, nn.BatchNorm2d):
        nn.init.ones_(part.weight)
        nn.init.constant_(part.bias, 1e-4)
