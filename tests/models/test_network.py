"""What every network keeps to, and that what networks share runs once."""

import pytest
import torch
from scene_toys import TinyEncoder
from torch import nn

from scaling_ood.models import ClassHead, ImageNetwork, MultiLabelHead, Network, encode_all
from scaling_ood.models.segmentation import PSPNet, build_autoencoder

INPUTS = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def backbone() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten())


NETWORKS = {
    "linear": lambda: ImageNetwork(backbone(), ClassHead(5, 4)),
    "dropout": lambda: ImageNetwork(backbone(), ClassHead(5, 4, dropout=0.3)),
    "confidence": lambda: ImageNetwork(backbone(), ClassHead(5, 4, second="confidence")),
    "rotations": lambda: ImageNetwork(backbone(), ClassHead(5, 4, hidden=6, dropout=0.3, second="rotations")),
    "multi_label": lambda: ImageNetwork(backbone(), MultiLabelHead(5, 4, width=6)),
    "multi_label_without_dropout": lambda: ImageNetwork(backbone(), MultiLabelHead(5, 4, width=6, dropout=0.0)),
    "pspnet": lambda: PSPNet(TinyEncoder(), 4, width=8),
    "pspnet_confidence": lambda: PSPNet(TinyEncoder(), 4, width=8, dropout=0.0, confidence=True),
    "autoencoder": lambda: build_autoencoder(seed=0),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]().eval()


def test_a_plain_pass_leaves_what_the_network_says_that_it_gives(network: Network) -> None:
    outputs = network(INPUTS)
    assert outputs.keys() == network.gives - {"dropout", "gradients"}
    assert {len(value) for value in outputs.values()} == {3}


def test_a_pass_is_encoding_and_decoding(network: Network) -> None:
    decoded = network.decode(network.encode(INPUTS))
    assert all(torch.equal(value, decoded[name]) for name, value in network(INPUTS).items())


def test_training_leaves_all_of_it_too_and_a_gradient(network: Network) -> None:
    outputs = network.train()(INPUTS)
    assert outputs.keys() >= network.gives - {"dropout", "gradients"}
    sum(value.sum() for value in outputs.values()).backward()
    assert any(parameter.grad is not None for parameter in network.parameters())


def test_dropout_is_given_where_passes_differ_by_it_and_repeat_by_their_seed(network: Network) -> None:
    encoded = network.encode(INPUTS)
    if "logits" not in network.gives:
        with pytest.raises(ValueError, match="SpatialAutoencoder has no dropout before its logits"):
            network.dropout_passes(encoded, 2, 0)
        return
    torch.manual_seed(4)
    before = torch.get_rng_state()
    first, second = network.dropout_passes(encoded, 2, seed=1)
    again, other = (next(iter(network.dropout_passes(encoded, 1, seed))) for seed in (1, 2))
    assert first.shape == network(INPUTS)["logits"].shape
    assert torch.equal(first, again)
    for differing in (second, other):
        assert torch.equal(first, differing) is not ("dropout" in network.gives)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(part.training for part in network.modules())


def test_the_last_layer_makes_logits_of_the_features(network: Network) -> None:
    outputs = network(INPUTS)
    assert (network.last_layer is None) is ("features" not in outputs)
    if network.last_layer is not None:
        assert torch.equal(network.last_layer(outputs["features"]), outputs["logits"])


def test_what_networks_share_runs_once_and_each_has_its_own_encoding() -> None:
    one, other = backbone().eval(), backbone().eval()
    nn.init.normal_(other[0].weight)
    heads = {name: ClassHead(5, 4) for name in "abc"}
    networks = {name: ImageNetwork(other if name == "b" else one, heads[name]) for name in "abc"}
    runs: list[int] = []
    one.register_forward_hook(lambda *_: runs.append(1))
    encoded = encode_all(networks, INPUTS)
    assert len(runs) == 1
    assert list(encoded) == ["a", "b", "c"]
    assert encoded["a"] is encoded["c"]
    assert torch.equal(encoded["b"], other(INPUTS))
    scenes = {str(number): PSPNet(TinyEncoder(), 4, width=8).eval() for number in range(2)}
    assert not torch.equal(*encode_all(scenes, INPUTS).values())
