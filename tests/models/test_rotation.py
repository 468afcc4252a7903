"""A classifier with a second head."""

import torch
from torch import nn

from scaling_ood.models.rotation import RotationClassifier


def test_both_heads_read_the_same_features():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    network = RotationClassifier(backbone, nn.Linear(5, 3))
    images = torch.randn(2, 3, 2, 2)
    classes, turns = network.both(images)
    assert torch.equal(classes, network(images))
    assert torch.equal(turns, network.rotation_head(backbone(images)))
    assert turns.shape == (2, 4)
    assert {"head.weight", "rotation_head.weight"} <= set(network.state_dict())
