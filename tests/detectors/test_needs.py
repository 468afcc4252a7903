"""Names of needs, and maps from inside a network."""

import re

import pytest
import torch
from torch import nn

from scaling_ood.detectors import FeatureMap, Given, field_of, name_of
from scaling_ood.detectors.mc_dropout import DropoutVariance
from scaling_ood.detectors.odin import Perturbed
from scaling_ood.detectors.rotation import RotationLoss


@pytest.mark.parametrize(
    ("need", "name", "field"),
    [
        ("logits", "logits", "logits"),
        (RotationLoss(), "rotation_loss", "rotation_loss"),
        (Perturbed(), "odin_logits", "odin_logits(temperature=1000.0,epsilon=0.001)"),
        (Perturbed(1000), "odin_logits", "odin_logits(temperature=1000.0,epsilon=0.001)"),
        (DropoutVariance(seed=3), "posterior_variance", "posterior_variance(passes=10,seed=3)"),
        (FeatureMap("a.b", "max"), "feature_map", "feature_map(layer=a.b,pool=max)"),
    ],
)
def test_names(need, name, field):
    assert (name_of(need), field_of(need)) == (name, field)


def test_equal_needs_are_one():
    assert len({Perturbed(), Perturbed(1000, 0.001), Perturbed(epsilon=0.002)}) == 2


class Network(nn.Sequential):
    """Convolutions, and logits of what they make."""

    def __init__(self):
        torch.manual_seed(0)
        blocks = {name: nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU()) for name in ("layer1", "layer2")}
        super().__init__(nn.ModuleDict(blocks), nn.Linear(3, 2))

    def forward(self, inputs):
        for block in self[0].values():
            inputs = block(inputs)
        return {"logits": self[1](inputs.mean(dim=(2, 3)))}


def test_a_higher_version_is_another_name():
    """Whatever is stored under the name of the old code is then not read as the new one's."""

    class Other(FeatureMap):
        version = 2

    assert field_of(Other("layer")) == "feature_map(layer=layer,pool=mean,version=2)"


def make(need):
    network = Network()
    inputs = torch.randn(4, 3, 9, 7, generator=torch.Generator().manual_seed(1))
    return need.make(Given(network, inputs, encoded=inputs, outputs={})), network, inputs


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_a_map_is_pooled_over_its_positions(pool):
    made, network, inputs = make(FeatureMap("0.layer1", pool))
    maps = network[0]["layer1"](inputs)
    assert maps.shape == (4, 3, 7, 5)
    expected = maps.mean(dim=(2, 3)) if pool == "mean" else maps.flatten(2).amax(dim=2)
    torch.testing.assert_close(made, expected)
    assert not made.requires_grad
    assert not network[0]["layer1"]._forward_hooks  # the network is left as it was


def test_a_layer_that_there_is_not():
    message = (
        "the network has no layer '0.layer'; did you mean '0.layer2'? "
        "(it has: 0, 1, 0.layer1, 0.layer2, 0.layer1.0, 0.layer1.1, 0.layer2.0, 0.layer2.1)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(FeatureMap("0.layer"))


def test_of_many_layers_some_are_named():
    network = nn.Sequential(*(nn.Sequential(nn.ReLU()) for _ in range(11)))
    with pytest.raises(ValueError, match=r"\(it has: 0, 1, .*, 10, 0\.0, and 10 more\)$"):
        FeatureMap("conv").make(Given(network, torch.zeros(1, 3, 2, 2), encoded=None, outputs={}))


def test_a_layer_that_makes_no_maps():
    with pytest.raises(ValueError, match=r"^layer '1' makes no maps \(N, D, H, W\), but \(4, 2\)$"):
        make(FeatureMap("1"))


def test_a_layer_that_is_not_run():
    network = Network()
    network.add_module("spare", nn.ReLU())
    with pytest.raises(ValueError, match="layer 'spare' makes no maps"):
        FeatureMap("spare").make(Given(network, torch.zeros(1, 3, 9, 9), encoded=None, outputs={}))


def test_another_pooling():
    with pytest.raises(ValueError, match="pool must be 'mean' or 'max', not 'sum'"):
        FeatureMap("layer1", "sum")
