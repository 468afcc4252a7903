"""Turned images, and networks that say by how much."""

import numpy as np
import pytest
import torch
from torch import nn

from scaling_ood.models import RotationNetworks, TwoHeaded, TwoHeads
from scaling_ood.models.rotation import rotated, rotation_loss, turned


@pytest.fixture
def images():
    return torch.randn(5, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_all_images_in_each_rotation(images):
    turned = rotated(images).numpy()
    for quarter in range(4):
        expected = np.rot90(images.numpy(), quarter, axes=(2, 3))
        np.testing.assert_array_equal(turned[5 * quarter : 5 * quarter + 5], expected)


def test_only_square_images():
    with pytest.raises(ValueError, match="only square images can be turned, not 4 x 6"):
        turned(torch.zeros(1, 3, 4, 6), 0)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("losses", [True, False])
def test_every_variant_has_its_logits_upright_and_its_loss_if_it_is_wanted(images, shared, losses):
    torch.manual_seed(0)
    backbones = [nn.Sequential(nn.Flatten(), nn.Linear(48, 6)) for _ in range(2)]
    if shared:
        backbones[1] = backbones[0]
    parts = {"a": TwoHeaded(backbones[0], TwoHeads(6, 3, 4)), "b": TwoHeaded(backbones[1], TwoHeads(6, 2, 4, width=5))}
    networks = RotationNetworks(parts, shared, losses).double()
    for name, one in networks(images).items():
        torch.testing.assert_close(one.logits, parts[name](images))
        assert (one.rotation_loss is None) != losses
        if losses:
            turns = [parts[name].both(images.rot90(quarter, (2, 3))).second for quarter in range(4)]
            torch.testing.assert_close(one.rotation_loss, rotation_loss(turns))
