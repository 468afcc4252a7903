"""Classification networks turned into dense encoders of output stride 8, with the same weights.

Removing a stride and dilating whatever follows computes the old features at more places: every second row and column of
the new map is the old one, number by number ("à trous"). Published weights therefore stay what they were trained to be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models.segmentation.ragged import Ragged

if TYPE_CHECKING:
    from torchvision.models.resnet import ResNet  # type: ignore[import-untyped]

STRIDE = 8


class Maps(NamedTuple):
    """What an encoder makes of images (N, 3, H, W), both at stride 8.

    Attributes:
        middle: (N, A, H/8, W/8), which the auxiliary head reads.
        deep: (N, D, H/8, W/8), which the decoder reads.
    """

    middle: torch.Tensor
    deep: torch.Tensor


class Encoder(nn.Module, ABC):
    """A network whose `forward` gives `Maps`.

    Attributes:
        widths: Channels (A, D) of its two maps.
    """

    widths: tuple[int, int]

    @abstractmethod
    def forward(self, images: torch.Tensor) -> Maps:
        """Maps at stride 8 of normalised images (N, 3, H, W); H and W are multiples of 8."""


class DilatedResNet(Encoder):
    """A torchvision ResNet up to `layer4`; the strides of `layer3` and `layer4` are turned into dilation 2 and 4.

    Torchvision's own `replace_stride_with_dilation` gives the same network, but refuses ResNet-18 and -34.
    """

    def __init__(self, network: ResNet) -> None:
        """Take over the network, in place, without its head."""
        super().__init__()
        network.fc = nn.Identity()
        self.network = network
        for dilation, layer in ((2, network.layer3), (4, network.layer4)):
            for part in layer.modules():
                if isinstance(part, nn.Conv2d):
                    _dilate(part, dilation)
        middle, deep = (_convolutions(layer[0])[-1].out_channels for layer in (network.layer3, network.layer4))
        self.widths = middle, deep

    def forward(self, images: torch.Tensor) -> Maps:
        """Outputs of `layer3` and `layer4`."""
        network = self.network
        middle = network.layer3(network.layer2(network.layer1(network.maxpool(self.stem(images)))))
        return Maps(middle, network.layer4(middle))

    def stem(self, images: torch.Tensor) -> torch.Tensor:
        """What lies before the pooling: (N, 64, H/2, W/2)."""
        network = self.network
        maps: torch.Tensor = network.relu(network.bn1(network.conv1(images)))
        return maps


class DeepStemResNet(DilatedResNet):
    """The same with three 3 x 3 convolutions of 64, 64 and 128 channels in place of the one of 7 x 7.

    The released code's networks are of this form (semantic-segmentation-pytorch), and so are the names of its parts.
    """

    def __init__(self, network: ResNet) -> None:
        """Take over the network, in place, without its head; stem and `layer1`, which reads it, are new."""
        network.conv1, network.bn1 = nn.Conv2d(3, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64)
        network.conv2, network.bn2 = nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        network.conv3, network.bn3 = nn.Conv2d(64, 128, 3, 1, 1, bias=False), nn.BatchNorm2d(128)
        network.inplanes = 128
        first = network.layer1[0]
        network.layer1 = network._make_layer(type(first), 64, len(network.layer1))
        for part in (network.conv1, network.conv2, network.conv3, *network.layer1.modules()):
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(network)

    def stem(self, images: torch.Tensor) -> torch.Tensor:
        """What lies before the pooling: (N, 128, H/2, W/2)."""
        network, maps = self.network, super().stem(images)
        for convolve, norm in ((network.conv2, network.bn2), (network.conv3, network.bn3)):
            maps = network.relu(norm(convolve(maps)))
        return maps


class DilatedEfficientNetLite(Encoder):
    """EfficientNet-Lite up to its last block; the strides beyond 8 are turned into dilation 2 and 4.

    Its batch norms follow the images ten times faster than in the published training, which was far longer.
    """

    def __init__(self, network: nn.Module, blocks: int) -> None:
        """Take over stem and first blocks of timm's network, in place; without stochastic depth."""
        super().__init__()
        whole: Any = network
        self.stem, self.norm = SameConvolution(whole.conv_stem), whole.bn1
        self.blocks = nn.ModuleList([block for stage in whole.blocks for block in stage][:blocks])
        self.middle_block, stride, dilation = 0, 2, 1
        for index, block in enumerate(self.blocks):
            block.drop_path = nn.Identity()
            depthwise = block.conv_dw
            assert isinstance(depthwise, nn.Conv2d)
            strided = depthwise.stride[0] > 1
            if strided and stride < STRIDE:
                stride *= 2
                block.conv_dw = SameConvolution(depthwise)
            elif strided or dilation > 1:
                block.conv_dw = SameConvolution(depthwise, dilation)
                dilation *= 2 if strided else 1
                self.middle_block = index - 1 if strided else self.middle_block
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 0.1
        middle, deep = (_convolutions(self.blocks[index])[-1].out_channels for index in (self.middle_block, -1))
        self.widths = middle, deep

    def forward(self, images: torch.Tensor) -> Maps:
        """Outputs of the last block before the last of the strides that are dilated, and of the last block."""
        maps = self.norm(self.stem(images))  # (N, 32, H/2, W/2)
        middle = maps
        for index, block in enumerate(self.blocks):
            maps = block(maps)
            if index == self.middle_block:
                middle = maps
        return Maps(middle, maps)


class SameConvolution(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, for maps whose sides its stride divides; ragged ones too.

    That padding is lopsided at a stride. Where a stride is removed, what the window reads before its place is kept.

    A depthwise one with dilation d is fast on a processor, gradients included: the outputs of each of the d x d phases
    of the grid depend on the inputs of that phase alone, so d x d small convolutions without dilation give the same
    numbers, and PyTorch has fast code for those.
    """

    def __init__(self, convolution: nn.Conv2d, dilation: int = 0) -> None:
        """Take over its weight.

        Args:
            convolution: Without bias, of any stride.
            dilation: With which it replaces its stride; 0 keeps the stride.
        """
        kernel, own = int(convolution.kernel_size[0]), int(convolution.stride[0])
        super().__init__(
            convolution.in_channels,
            convolution.out_channels,
            kernel,
            stride=1 if dilation else own,
            dilation=max(1, dilation),
            groups=convolution.groups,
            bias=False,
        )
        self.weight = convolution.weight
        step, stride = int(self.dilation[0]), int(self.stride[0])
        before = step * ((kernel - own) // 2)
        after = step * (kernel - 1) + 1 - stride - before
        self.around = before, after, before, after

    def forward(self, input: Any) -> Any:
        """(N, C, H, W) to (N, D, H / stride, W / stride)."""
        return input.map(self._convolve) if isinstance(input, Ragged) else self._convolve(input)

    def _convolve(self, input: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(input, self.around)
        step = int(self.dilation[0])
        if step == 1 or self.groups == 1 or padded.device.type != "cpu":
            return functional.conv2d(padded, self.weight, None, self.stride, 0, self.dilation, self.groups)
        height, width = (side - step * (self.kernel_size[0] - 1) for side in padded.shape[2:])
        padded = functional.pad(padded, (0, -padded.shape[3] % step, 0, -padded.shape[2] % step))
        images, channels, *size = padded.shape
        rows, columns = (side // step for side in size)
        phases = padded.view(images, channels, rows, step, columns, step)
        phases = phases.permute(0, 3, 5, 1, 2, 4).reshape(-1, channels, rows, columns)  # (N d d, C, H/d, W/d)
        maps = functional.conv2d(phases.contiguous(memory_format=torch.channels_last), self.weight, groups=self.groups)
        rows, columns = maps.shape[2:]
        maps = maps.reshape(images, step, step, channels, rows, columns).permute(0, 3, 4, 1, 5, 2)
        joined = maps.reshape(images, channels, rows * step, columns * step)
        return joined[:, :, :height, :width]


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    """Those of the main path of a block, in order."""
    return [part for part in module.children() if isinstance(part, nn.Conv2d)]


def _dilate(convolution: nn.Conv2d, dilation: int) -> None:
    """Dilate a convolution; a stride becomes 1, and takes the dilation of before it."""
    dilation = dilation // 2 if convolution.stride[0] > 1 else dilation
    convolution.stride = (1, 1)
    if convolution.kernel_size[0] > 1:
        convolution.dilation = (dilation, dilation)
        convolution.padding = tuple(dilation * int(side) for side in convolution.padding)
