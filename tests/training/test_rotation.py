"""Rotation training: what is turned, both losses by hand, and that upright comes to mean something."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models.rotation import RotationClassifier
from scaling_ood.training.rotation import rotated, rotation_loss, rotation_training


@pytest.fixture
def network():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.ReLU())
    return RotationClassifier(backbone, nn.Linear(16, 3)).double()


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
        rotated(torch.zeros(1, 3, 4, 6))


@pytest.mark.parametrize("weight", [1.0, 1 / 3])
def test_both_losses(network, images, weight):
    labels = torch.tensor([0, 2, 1, 1, 0])
    loss = rotation_training(network, images, labels, weight)
    classes = -network(images).log_softmax(dim=1)[range(5), labels].mean()
    turns = [
        -network.rotation_head(network.backbone(images[i : i + 1].rot90(quarter, (2, 3)))).log_softmax(dim=1)[
            0, quarter
        ]
        for i in range(5)
        for quarter in range(4)
    ]
    assert loss.classes.item() == pytest.approx(classes.item(), rel=1e-6)
    assert loss.rotations.item() == pytest.approx(sum(turns).item() / 20, rel=1e-6)
    assert loss.total.item() == pytest.approx(classes.item() + weight * sum(turns).item() / 20, rel=1e-6)
    torch.testing.assert_close(loss.logits, network(images))
    loss.total.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_the_score_of_an_image_is_the_mean_over_its_rotations(network, images):
    with torch.inference_mode():
        losses = rotation_loss(network, images)
    for image, loss in zip(images, losses, strict=True):
        mine = [
            functional.cross_entropy(
                network.both(image.rot90(quarter, (1, 2))[None])[1], torch.tensor([quarter])
            ).item()
            for quarter in range(4)
        ]
        assert loss.item() == pytest.approx(sum(mine) / 4, rel=1e-10)
    assert losses.dtype == torch.float64
    assert rotation_training(network, images, torch.zeros(5).long()).rotations.item() == pytest.approx(losses.mean())


def test_what_has_no_direction_cannot_be_told(network):
    """All rotations of an even image are one image: at best, each has a quarter of the probability."""
    assert rotation_loss(network, torch.ones(1, 3, 4, 4, dtype=torch.float64)).item() >= math.log(4)


def test_images_that_are_bright_above_become_upright(network):
    """Trained on them, the head knows them, and not those that are bright in the middle."""
    generator = torch.Generator().manual_seed(2)
    bright = torch.linspace(2, -2, 4, dtype=torch.float64)[:, None].expand(4, 4)
    images = bright + 0.5 * torch.randn(60, 3, 4, 4, dtype=torch.float64, generator=generator)
    labels = torch.arange(60) % 3
    images[:, 0] += labels[:, None, None]
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    first = rotation_training(network, images, labels)
    for _ in range(150):
        optimiser.zero_grad()
        rotation_training(network, images, labels).total.backward()
        optimiser.step()
    last = rotation_training(network, images, labels)
    assert last.rotations < 0.1 < first.rotations
    assert (last.logits.argmax(dim=1) == labels).double().mean() > 0.9
    middle = torch.zeros(30, 3, 4, 4, dtype=torch.float64)
    middle[:, :, 1:3, 1:3] = 2
    middle += 0.5 * torch.randn(30, 3, 4, 4, dtype=torch.float64, generator=generator)
    assert rotation_loss(network, middle).min() > rotation_loss(network, images).max()
