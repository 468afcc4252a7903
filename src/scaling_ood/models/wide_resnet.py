"""Wide residual networks for images of 32 x 32 pixels (Zagoruyko and Komodakis 2016, section 2)."""

from __future__ import annotations

import torch
from torch import nn

from scaling_ood.images.transforms import Preprocessing

CIFAR_PREPROCESSING = Preprocessing(
    32,
    32,
    "bilinear",
    (125.3 / 255, 123.0 / 255, 113.9 / 255),
    (63.0 / 255, 62.1 / 255, 66.7 / 255),
)
"""Mean and standard deviation of CIFAR-10, as Hendrycks et al. (2019a) rounded them."""


class _Block(nn.Module):
    """Norm, activation and convolution twice, beside a shortcut, which starts after the first norm if widths differ."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.BatchNorm2d(inputs)
        self.spread = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.BatchNorm2d(outputs)
        self.mix = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        ready = torch.relu(self.first(maps))
        added: torch.Tensor = self.mix(torch.relu(self.second(self.spread(ready))))
        beside: torch.Tensor = maps if self.shortcut is None else self.shortcut(ready)
        return added + beside


class WideResNetBackbone(nn.Module):
    """WRN-depth-width up to its pooled features (N, 64 width)."""

    def __init__(self, depth: int, width: int) -> None:
        """Three groups of (depth - 4) / 6 blocks at 32, 16 and 8 pixels.

        Raises:
            ValueError: The depth is not 6 n + 4.
        """
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth = {depth}: a wide residual network has 6 n + 4 layers, n at least 1")
        widths = (16, 16 * width, 32 * width, 64 * width)
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)]
        for inputs, outputs, stride in zip(widths, widths[1:], (1, 2, 2), strict=False):
            layers += [_Block(inputs, outputs, stride), *(_Block(outputs, outputs, 1) for _ in range(blocks - 1))]
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Globally averaged last feature map of images (N, 3, 32, 32)."""
        maps: torch.Tensor = self.layers(images)  # (N, 64 width, 8, 8)
        return maps.mean(dim=(2, 3))
