"""Classifiers with a second head: what both read, where they begin, and what is restored."""

import pytest
import torch
from torch import nn
from toy_benchmark import TOY, TOY_NETWORK, build_toy

from scaling_ood.models import (
    ARCHITECTURES,
    ConfidenceNetworks,
    TwoHeaded,
    TwoHeads,
    Variant,
    build_two_headed,
    trainable,
    trained_two_headed,
)

FINE, OTHER = Variant("fine", 3, 4), Variant("fine", 4, 4)


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "toy", TOY)
    monkeypatch.setitem(ARCHITECTURES, "toy_network", TOY_NETWORK)


def test_both_heads_read_the_same_features():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    network = TwoHeaded(backbone, TwoHeads(5, 3, 4))
    images = torch.randn(2, 3, 2, 2)
    classes, second = network.both(images)
    assert torch.equal(classes, network(images))
    assert torch.equal(second, network.heads.second(backbone(images)))
    assert second.shape == (2, 4)


def test_a_hidden_layer_is_linear_and_relu_and_both_heads_read_it():
    torch.manual_seed(0)
    heads = TwoHeads(5, 3, 1, width=7)
    features = torch.randn(6, 5)
    hidden = (features @ heads.hidden[0].weight.T + heads.hidden[0].bias).clamp(min=0)
    classes, second = heads.both(features)
    torch.testing.assert_close(classes, hidden @ heads.head.weight.T + heads.head.bias)
    torch.testing.assert_close(second, hidden @ heads.second.weight.T + heads.second.bias)
    assert torch.equal(heads(features), classes)


def test_the_head_begins_as_that_of_the_classifier():
    alone, beside = trainable("toy", "head", FINE), build_two_headed("toy", "head", FINE, 1)
    assert torch.equal(alone.weight, beside.head.weight)
    assert torch.equal(alone.bias, beside.head.bias)


@pytest.mark.parametrize(("name", "training"), [("toy", "head"), ("toy_network", "network")])
def test_weights_depend_on_the_seed_alone(name, training):
    def weights(variant):
        torch.seed()  # whatever the global generator holds
        return list(build_two_headed(name, training, variant, 4, width=3).state_dict().values())

    first = weights(FINE)
    assert all(torch.equal(one, other) for one, other in zip(first, weights(FINE), strict=True))
    assert not torch.equal(first[0], weights(OTHER)[0]) or not torch.equal(first[-1], weights(OTHER)[-1])


def test_trained_heads_stand_on_the_published_backbone_or_on_features():
    state = build_two_headed("toy", "head", FINE, 1).state_dict()
    images = torch.randn(3, 3, 8, 8)
    features = build_toy(True)[0].eval()(images)
    expected = {kind: features @ state[f"{kind}.weight"].T + state[f"{kind}.bias"] for kind in ("head", "second")}
    for frozen, given in ((None, images), (nn.Identity(), features)):
        networks = trained_two_headed("toy", "head", [FINE], {FINE.name: state}, 1, frozen=frozen)
        one = ConfidenceNetworks(networks, shared=True).eval()(given)[FINE.name]
        torch.testing.assert_close(one.logits, expected["head"])
        torch.testing.assert_close(one.confidence, expected["second"][:, 0])


def test_whole_networks_are_restored_with_their_own_backbones():
    states = {v.name: build_two_headed("toy_network", "network", v, 1).state_dict() for v in (FINE, OTHER)}
    networks = trained_two_headed("toy_network", "network", [FINE, OTHER], states, 1)
    for name, network in networks.items():
        assert all(torch.equal(tensor, states[name][key]) for key, tensor in network.state_dict().items())
    assert networks[FINE.name].backbone is not networks[OTHER.name].backbone
