"""Rotation training: both losses by hand, on images and cached features, and that upright comes to mean something."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models import TwoHeaded, TwoHeads
from scaling_ood.models.rotation import rotated, rotation_loss
from scaling_ood.training import Recipe, train_classifiers
from scaling_ood.training.images import CachedFeatures
from scaling_ood.training.rotation import (
    RotationObjective,
    TurnedFeatures,
    TurnedImages,
    rotation_training,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.ReLU())
    return TwoHeaded(backbone, TwoHeads(16, 3, 4)).double()


@pytest.fixture
def images():
    return torch.randn(5, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("weight", [1.0, 1 / 3])
def test_both_losses(network, images, weight):
    labels = torch.tensor([0, 2, 1, 1, 0])
    loss = rotation_training(network, rotated(images), labels, weight)
    classes = -network(images).log_softmax(dim=1)[range(5), labels].mean()
    turns = [
        -network.heads.second(network.backbone(images[i : i + 1].rot90(quarter, (2, 3)))).log_softmax(dim=1)[0, quarter]
        for i in range(5)
        for quarter in range(4)
    ]
    assert loss.classes.item() == pytest.approx(classes.item(), rel=1e-6)
    assert loss.rotations.item() == pytest.approx(sum(turns).item() / 20, rel=1e-6)
    assert loss.total.item() == pytest.approx(classes.item() + weight * sum(turns).item() / 20, rel=1e-6)
    torch.testing.assert_close(loss.logits, network(images))
    loss.total.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def losses_of(network, images):
    with torch.inference_mode():
        return rotation_loss([network.both(turn).second for turn in rotated(images).chunk(4)])


def test_the_score_of_an_image_is_the_mean_over_its_rotations(network, images):
    losses = losses_of(network, images)
    for image, loss in zip(images, losses, strict=True):
        mine = [
            functional.cross_entropy(network.both(image.rot90(quarter, (1, 2))[None])[1], torch.tensor([quarter]))
            for quarter in range(4)
        ]
        assert loss.item() == pytest.approx(sum(mine).item() / 4, rel=1e-10)
    assert losses.dtype == torch.float64
    trained = rotation_training(network, rotated(images), torch.zeros(5).long())
    assert trained.rotations.item() == pytest.approx(losses.mean())


def test_what_has_no_direction_cannot_be_told(network):
    """All rotations of an even image are one image: at best, each has a quarter of the probability."""
    assert losses_of(network, torch.ones(1, 3, 4, 4, dtype=torch.float64)).item() >= math.log(4)


def test_images_that_are_bright_above_become_upright(network):
    """Trained on them, the head knows them, and not those that are bright in the middle."""
    generator = torch.Generator().manual_seed(2)
    bright = torch.linspace(2, -2, 4, dtype=torch.float64)[:, None].expand(4, 4)
    images = bright + 0.5 * torch.randn(60, 3, 4, 4, dtype=torch.float64, generator=generator)
    labels = torch.arange(60) % 3
    images[:, 0] += labels[:, None, None]
    turns = rotated(images)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    first = rotation_training(network, turns, labels)
    for _ in range(150):
        optimiser.zero_grad()
        rotation_training(network, turns, labels).total.backward()
        optimiser.step()
    last = rotation_training(network, turns, labels)
    assert last.rotations < 0.1 < first.rotations
    assert (last.logits.argmax(dim=1) == labels).double().mean() > 0.9
    middle = torch.zeros(30, 3, 4, 4, dtype=torch.float64)
    middle[:, :, 1:3, 1:3] = 2
    middle += 0.5 * torch.randn(30, 3, 4, 4, dtype=torch.float64, generator=generator)
    assert losses_of(network, middle).min() > losses_of(network, images).max()


CPU = torch.device("cpu")


def test_a_batch_of_images_is_each_in_all_rotations(images):
    upright = CachedFeatures(images, CPU)  # any source of (N, 3, H, H)
    batch = TurnedImages(upright).batch(torch.tensor([3, 1]), torch.Generator())
    assert len(TurnedImages(upright)) == 5
    assert torch.equal(batch, rotated(images[[3, 1]]))


def test_a_batch_of_cached_features_has_the_order_of_turned_images(network, images):
    features = torch.stack([network.backbone(turn) for turn in rotated(images).chunk(4)])
    cached = TurnedFeatures(features, CPU)
    assert len(cached) == 5
    batch = cached.batch(torch.tensor([4, 0, 2]), torch.Generator())
    torch.testing.assert_close(batch, network.backbone(rotated(images[[4, 0, 2]])))


@pytest.mark.parametrize(("weight", "smoothing"), [(1.0, 0.0), (0.5, 0.1)])
def test_the_first_step_on_cached_features_is_that_of_both_losses_by_hand(weight, smoothing):
    torch.manual_seed(4)
    heads = TwoHeads(6, 3, 4, width=7)
    weights = {name: tensor.clone().double().numpy() for name, tensor in heads.state_dict().items()}
    features = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(5))
    labels = torch.tensor([0, 2, 1, 1, 0])
    run = train_classifiers(
        {"one": lambda: heads},
        TurnedFeatures(features, CPU),
        {"one": labels},
        {"one": 0},
        Recipe(1, 5, 0.01, 0.0, smoothing),
        objective=lambda: RotationObjective(weight, smoothing),
    )
    row = next(run)["history"][0]

    def log_softmax(values):
        return values - np.log(np.exp(values).sum())

    classes = turns = right = 0.0
    for quarter in range(4):
        for image, label in zip(features[quarter].double().numpy(), labels.tolist(), strict=True):
            hidden = np.maximum(weights["hidden.0.weight"] @ image + weights["hidden.0.bias"], 0)
            turns -= log_softmax(weights["second.weight"] @ hidden + weights["second.bias"])[quarter] / 20
            if quarter == 0:
                logits = weights["head.weight"] @ hidden + weights["head.bias"]
                target = smoothing / 3 + (1 - smoothing) * (np.arange(3) == label)
                classes -= (target * log_softmax(logits)).sum() / 5
                right += logits.argmax() == label
    assert row["rotation_loss"] == pytest.approx(turns, rel=1e-5)
    assert row["train_loss"] == pytest.approx(classes + weight * turns, rel=1e-5)
    assert row["train_accuracy"] == right / 5


def test_the_rotations_shape_the_classes_through_the_hidden_layer_only():
    """On frozen features, heads without a hidden layer learn the same classes with and without rotations."""
    features = torch.randn(4, 12, 6, generator=torch.Generator().manual_seed(6))
    labels = torch.arange(12) % 3

    def trained(width, weight):
        torch.manual_seed(7)
        run = train_classifiers(
            {"one": lambda: TwoHeads(6, 3, 4, width=width)},
            TurnedFeatures(features, CPU),
            {"one": labels},
            {"one": 0},
            Recipe(2, 6, 0.05, 0.0),
            objective=lambda: RotationObjective(weight),
        )
        return list(run)[-1]["models"]["one"]["head.weight"]

    torch.testing.assert_close(trained(0, 1.0), trained(0, 3.0))
    assert not torch.allclose(trained(5, 1.0), trained(5, 3.0))
