"""The Wide ResNet of the small-scale contrast."""

import pytest
import torch
from torch import nn

from scaling_ood.models import architecture
from scaling_ood.models.wide_resnet import WideResNetBackbone


def test_it_has_as_many_weights_as_its_description_says() -> None:
    built = architecture("wide_resnet40_2")
    network = nn.Sequential(built.build(False)[0], nn.Linear(built.features, 10))
    groups, blocks = ((16, 32), (32, 64), (64, 128)), 6
    expected = 3 * 16 * 9 + 2 * 128 + 128 * 10 + 10
    for narrow, wide in groups:
        expected += narrow * wide * (9 + 1) + (2 * blocks - 1) * wide * wide * 9  # convolutions and shortcut
        expected += 2 * narrow + (2 * blocks - 1) * 2 * wide  # norms
    assert sum(parameter.numel() for parameter in network.parameters()) == expected == 2_243_546


def test_it_has_forty_layers_with_weights_beside_its_three_shortcuts() -> None:
    convolutions = [each for each in WideResNetBackbone(40, 2).modules() if isinstance(each, nn.Conv2d)]
    assert len([each for each in convolutions if each.kernel_size == (3, 3)]) + 1 == 38
    assert len([each for each in convolutions if each.kernel_size == (1, 1)]) == 3


def test_it_ends_in_one_vector_per_image() -> None:
    assert WideResNetBackbone(10, 1).eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 64)


def test_a_depth_that_it_cannot_have_is_told() -> None:
    with pytest.raises(ValueError, match="depth = 41: a wide residual network has 6 n"):
        WideResNetBackbone(41, 2)
