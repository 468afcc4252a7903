"""Rotation training: turned images, both losses by hand, and that upright comes to mean something."""

import numpy as np
import pytest
import torch
from torch import nn

from scaling_ood.models import ClassHead, ImageNetwork
from scaling_ood.training.classification import Classification, ClassificationRecipe
from scaling_ood.training.images import CachedFeatures
from scaling_ood.training.rotation import RotationObjective, TurnedFeatures, TurnedImages, rotated


@pytest.fixture
def network():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.ReLU())
    return ImageNetwork(backbone, ClassHead(16, 3, second="rotations")).double()


@pytest.fixture
def images():
    return torch.randn(5, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_all_images_in_each_rotation(images):
    turns = rotated(images).numpy()
    for quarter in range(4):
        expected = np.rot90(images.numpy(), quarter, axes=(2, 3))
        np.testing.assert_array_equal(turns[5 * quarter : 5 * quarter + 5], expected)


def test_only_square_images():
    with pytest.raises(ValueError, match="only square images can be turned, not 4 x 6"):
        rotated(torch.zeros(1, 3, 4, 6))


def loss_of(network, images, labels, weight=1.0):
    return RotationObjective(weight).loss(network(rotated(images)), labels, {})


@pytest.mark.parametrize("weight", [1.0, 1 / 3])
def test_both_losses(network, images, weight):
    labels = torch.tensor([0, 2, 1, 1, 0])
    loss = loss_of(network, images, labels, weight)
    classes = -network(images)["logits"].log_softmax(dim=1)[range(5), labels].mean()
    turns = [
        -network(images[i : i + 1].rot90(quarter, (2, 3)))["rotations"].log_softmax(dim=1)[0, quarter]
        for i in range(5)
        for quarter in range(4)
    ]
    assert loss.shown == {"rotation_loss": pytest.approx(sum(turns).item() / 20, rel=1e-6)}
    assert loss.total.item() == pytest.approx(classes.item() + weight * sum(turns).item() / 20, rel=1e-6)
    loss.total.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_images_that_are_bright_above_become_upright(network):
    """Trained on them, the head knows them, and not those that are bright in the middle."""
    generator = torch.Generator().manual_seed(2)
    bright = torch.linspace(2, -2, 4, dtype=torch.float64)[:, None].expand(4, 4)
    images = bright + 0.5 * torch.randn(60, 3, 4, 4, dtype=torch.float64, generator=generator)
    labels = torch.arange(60) % 3
    images[:, 0] += labels[:, None, None]
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    first = loss_of(network, images, labels)
    for _ in range(150):
        optimiser.zero_grad()
        loss_of(network, images, labels).total.backward()
        optimiser.step()
    last = loss_of(network, images, labels)
    assert last.shown["rotation_loss"] < 0.1 < first.shown["rotation_loss"]
    assert (network(images)["logits"].argmax(dim=1) == labels).double().mean() > 0.9
    middle = torch.zeros(30, 3, 4, 4, dtype=torch.float64)
    middle[:, :, 1:3, 1:3] = 2
    middle += 0.5 * torch.randn(30, 3, 4, 4, dtype=torch.float64, generator=generator)
    assert loss_of(network, middle, labels[:30]).shown["rotation_loss"] > 1


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
    head = ClassHead(6, 3, hidden=7, second="rotations")
    weights = {name: tensor.clone().double().numpy() for name, tensor in head.state_dict().items()}
    features = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(5))
    labels = torch.tensor([0, 2, 1, 1, 0])
    recipe = ClassificationRecipe(epochs=1, batch_images=5, learning_rate=0.01, weight_decay=0.0)
    objective = RotationObjective(weight, smoothing)
    lesson = Classification(TurnedFeatures(features, CPU), labels, recipe, CPU, objective)
    row = lesson.begin(lambda: head, 0).epoch(0)

    def log_softmax(values):
        return values - np.log(np.exp(values).sum())

    classes = turns = right = 0.0
    for quarter in range(4):
        for image, label in zip(features[quarter].double().numpy(), labels.tolist(), strict=True):
            hidden = np.maximum(weights["hidden.0.weight"] @ image + weights["hidden.0.bias"], 0)
            turns -= log_softmax(weights["second.weight"] @ hidden + weights["second.bias"])[quarter] / 20
            if quarter == 0:
                logits = weights["output.weight"] @ hidden + weights["output.bias"]
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
        recipe = ClassificationRecipe(epochs=2, batch_images=6, learning_rate=0.05, weight_decay=0.0)
        lesson = Classification(TurnedFeatures(features, CPU), labels, recipe, CPU, RotationObjective(weight))
        training = lesson.begin(lambda: ClassHead(6, 3, hidden=width, second="rotations"), 0)
        for epoch in range(2):
            training.epoch(epoch)
        return training.module.output.weight

    torch.testing.assert_close(trained(0, 1.0), trained(0, 3.0))
    assert not torch.allclose(trained(5, 1.0), trained(5, 3.0))
