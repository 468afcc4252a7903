"""Networks for whole images: published, new and restored weights, and batch norms that stay frozen."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from toy_networks import build_toy

from scaling_ood.models import (
    ClassCountError,
    ClassHead,
    Head,
    ImageNetwork,
    MultiLabelHead,
    build_head,
    build_network,
    published_network,
)

pytestmark = pytest.mark.usefixtures("toy_architecture")

IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
CLASSES = partial(ClassHead, classes=4)
HEADS = {
    "linear": CLASSES,
    "dropout": partial(CLASSES, dropout=0.5),
    "confidence": partial(CLASSES, second="confidence"),
    "rotations": partial(CLASSES, hidden=3, second="rotations"),
    "multi_label": partial(MultiLabelHead, classes=4, width=16),
}
each_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
Build = Callable[[int], Head]


def flat(module: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def multi_label(seed: int = 0) -> ImageNetwork:
    return build_network("toy", HEADS["multi_label"], seed=seed, start="published")


def test_published_weights_give_the_published_backbone_and_head() -> None:
    backbone, head = build_toy(True)
    outputs = published_network("toy", 4).eval()(IMAGES)
    features = backbone.eval()(IMAGES)
    torch.testing.assert_close(outputs["features"], features)
    torch.testing.assert_close(outputs["logits"], features @ head.weight.T + head.bias)


@pytest.mark.parametrize(("classes", "given"), [(3, "3"), (1200, "1,200")])
def test_a_data_set_with_other_classes_than_the_published_head_is_refused(classes: int, given: str) -> None:
    message = f"the published head of toy has 4 classes, but the data set has {given}"
    with pytest.raises(ClassCountError, match=message):
        published_network("toy", classes)


def test_published_weights_are_refused_where_there_are_none() -> None:
    with pytest.raises(ValueError, match="'toy_network' has no published weights to start from"):
        build_network("toy_network", CLASSES, seed=0, start="published")


@each_head
def test_a_tuned_network_starts_from_the_published_backbone_and_a_new_head(head: Build) -> None:
    published = build_toy(True)[0].state_dict()
    tuned = build_network("toy", head, seed=3, start="published")
    scratch = build_network("toy", head, seed=3, start="random")
    for name, weights in published.items():
        torch.testing.assert_close(tuned.backbone.state_dict()[name], weights)
    assert any(not torch.equal(scratch.backbone.state_dict()[name], published[name]) for name in published)
    assert torch.equal(flat(tuned.head), flat(scratch.head))


@each_head
def test_new_weights_depend_on_the_seed_alone_and_the_heads_not_on_what_is_trained_with_it(head: Build) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_network("toy_network", head, seed=5, start="random")
    alone = build_head("toy", head, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(flat(build_network("toy_network", head, seed=5, start="random")), flat(first))
    assert not torch.equal(flat(build_network("toy_network", head, seed=6, start="random")), flat(first))
    assert torch.equal(flat(alone), flat(first.head))


@each_head
def test_a_state_loads_whole_or_not_at_all(head: Build) -> None:
    network = build_network("toy_network", head, seed=5, start="random").eval()
    state = network.state_dict()
    other = build_network("toy_network", head, seed=6, start="random").eval()
    other.load_state_dict(state)
    expected, outputs = network(IMAGES), other(IMAGES)
    assert all(torch.equal(outputs[name], expected[name]) for name in expected)
    lacking = {name: tensor for name, tensor in state.items() if name != "head.output.bias"}
    larger = build_network("toy_network", partial(head, classes=5), seed=5, start="random").state_dict()
    for wrong, message in ((larger, "size mismatch"), (lacking, "Missing key"), (state | {"x": IMAGES}, "Unexpec")):
        with pytest.raises(RuntimeError, match=message):
            other.load_state_dict(wrong)


def test_the_backbones_norms_neither_learn_nor_count_while_the_multi_label_heads_does() -> None:
    network = multi_label()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert network.train() is network
    assert network.training
    assert not any(part.training for part in network.backbone.modules() if isinstance(part, nn.BatchNorm2d))
    network(IMAGES)["logits"].square().sum().backward()
    after = network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("backbone"))
    assert not torch.equal(after["head.hidden.1.running_mean"], before["head.hidden.1.running_mean"])
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == {"backbone.1.weight", "backbone.1.bias"}


def test_a_step_leaves_the_frozen_norms_as_published_and_moves_the_convolution() -> None:
    network = multi_label().train()
    published = build_toy(True)[0].state_dict()
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        network(IMAGES)["logits"].square().sum().backward()
        optimiser.step()
    moved = {name for name, tensor in network.backbone.state_dict().items() if not torch.equal(tensor, published[name])}
    assert moved == {"0.weight", "0.bias"}


def test_training_on_frozen_norms_uses_the_published_statistics_and_not_the_batchs() -> None:
    network = multi_label().train()
    torch.testing.assert_close(network.encode(IMAGES)[:1], network.encode(IMAGES[:1]))
    assert torch.equal(network.encode(IMAGES), network.eval().encode(IMAGES))


def test_every_norm_of_a_real_backbone_is_frozen_from_the_start_under_a_multi_label_head_only() -> None:
    frozen = build_network("efficientnet_lite0", HEADS["multi_label"], seed=0, start="random")
    norms = [part for part in frozen.backbone.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) > 40
    assert not any(norm.training or norm.weight.requires_grad or norm.bias.requires_grad for norm in norms)
    assert frozen.head.hidden[1].training
    free = build_network("toy_network", CLASSES, seed=0, start="random").train()
    assert all(part.training for part in free.modules())
    assert all(parameter.requires_grad for parameter in free.parameters())
