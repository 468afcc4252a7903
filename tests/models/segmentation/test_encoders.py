"""Dilated encoders compute what the published networks compute, at more places."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, resnet50

from scaling_ood.models import architecture
from scaling_ood.models.segmentation import segmenter
from scaling_ood.models.segmentation.encoders import DilatedEfficientNetLite, DilatedResNet, SameConvolution
from scaling_ood.models.sources.own import lite0

IMAGES = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def agitate(module: nn.Module) -> nn.Module:
    """Running statistics that are not those of a fresh network, so that a lost one would show."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.1, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return module.double().eval()


def plain_resnet_maps(network: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    maps = network.maxpool(network.relu(network.bn1(network.conv1(IMAGES))))
    middle = network.layer3(network.layer2(network.layer1(maps)))
    return middle, network.layer4(middle)


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("pspnet_resnet10", (256, 512)),
        ("pspnet_resnet18", (256, 512)),
        ("pspnet_resnet50", (1024, 2048)),
        ("pspnet_resnet101", (1024, 2048)),
        ("pspnet_resnet50_deepstem", (1024, 2048)),
        ("pspnet_resnet101_deepstem", (1024, 2048)),
        ("pspnet_efficientnet_lite0", (112, 320)),
        ("pspnet_efficientnet_lite0_short", (40, 112)),
    ],
)
def test_both_maps_are_at_stride_8_and_as_wide_as_stated(name: str, widths: tuple[int, int]) -> None:
    encoder = segmenter(name).encoder(False).double().eval()
    with torch.inference_mode():
        maps = encoder(IMAGES)
    assert encoder.widths == widths
    assert [each.shape for each in maps] == [(1, width, 8, 12) for width in widths]


@pytest.mark.parametrize("build", [resnet18, resnet50])
def test_every_second_place_of_a_dilated_resnet_is_the_published_network(build: object) -> None:
    plain = agitate(build())
    dilated = build()
    dilated.load_state_dict(plain.state_dict())
    encoder = DilatedResNet(dilated).double().eval()
    with torch.inference_mode():
        maps, (middle, deep) = encoder(IMAGES), plain_resnet_maps(plain)
    torch.testing.assert_close(maps.middle[..., ::2, ::2], middle)
    torch.testing.assert_close(maps.deep[..., ::4, ::4], deep)


def test_a_dilated_bottleneck_resnet_is_torchvisions_own() -> None:
    own = agitate(resnet50(replace_stride_with_dilation=[False, True, True]))
    dilated = resnet50()
    dilated.load_state_dict(own.state_dict())
    with torch.inference_mode():
        for mine, theirs in zip(DilatedResNet(dilated).double().eval()(IMAGES), plain_resnet_maps(own), strict=True):
            assert torch.equal(mine, theirs)


def test_weights_keep_their_names_whatever_the_dilation() -> None:
    plain = {name for name in resnet18().state_dict() if not name.startswith("fc.")}
    assert set(DilatedResNet(resnet18()).network.state_dict()) == plain


@pytest.mark.parametrize(("blocks", "steps"), [(16, (2, 4)), (11, (1, 2))])
def test_every_second_place_of_a_dilated_efficientnet_lite_is_the_published_network(
    blocks: int, steps: tuple[int, int]
) -> None:
    plain, other = agitate(lite0()), lite0()
    other.load_state_dict(plain.state_dict())
    encoder = DilatedEfficientNetLite(other, blocks).double().eval()
    with torch.inference_mode():
        maps = plain.bn1(plain.conv_stem(IMAGES))
        every = [block for stage in plain.blocks for block in stage]
        passed = [maps := block(maps) for block in every[:blocks]]
        found = encoder(IMAGES)
    middle, deep = passed[encoder.middle_block], passed[-1]
    assert deep.abs().max() > 0.01
    torch.testing.assert_close(found.middle[..., :: steps[0], :: steps[0]], middle)
    torch.testing.assert_close(found.deep[..., :: steps[1], :: steps[1]], deep)


def test_the_registered_lite0_encoder_carries_the_published_weights() -> None:
    network = architecture("efficientnet_lite0").build(True)[0]
    encoder = segmenter("pspnet_efficientnet_lite0").encoder(True)
    assert torch.equal(encoder.stem.weight, network.conv_stem.weight)
    for mine, theirs in zip(encoder.blocks.parameters(), network.blocks.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (5, 2), (3, 4), (5, 4)])
@pytest.mark.parametrize("size", [(16, 24), (23, 30), (7, 5)])
def test_a_dilated_depthwise_convolution_by_phase_is_the_same_with_its_gradient(
    kernel: int, dilation: int, size: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(kernel + dilation)
    around = dilation * (kernel - 1) // 2
    plain = nn.Conv2d(6, 6, kernel, padding=around, dilation=dilation, groups=6, bias=False).double()
    images = torch.randn(2, 6, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    fast = SameConvolution(nn.Conv2d(6, 6, kernel, groups=6, bias=False), dilation).double()
    fast.load_state_dict(plain.state_dict())
    expected, found = plain(images), fast(images)
    torch.testing.assert_close(found, expected)
    wanted = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    gradients = [
        torch.autograd.grad((maps * wanted).sum(), (images, one.weight))
        for maps, one in ((expected, plain), (found, fast))
    ]
    torch.testing.assert_close(gradients[1], gradients[0])
    assert fast.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("kernel", [3, 5])
def test_at_a_stride_the_padding_is_tensorflows(kernel: int) -> None:
    from timm.layers import Conv2dSame

    plain = Conv2dSame(4, 4, kernel, stride=2, groups=4, bias=False)
    images = torch.randn(1, 4, 16, 24)
    torch.testing.assert_close(SameConvolution(plain)(images), plain(images))
