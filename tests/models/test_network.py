"""Classifiers on one backbone: assembled from published, trained and separate weights."""

import pytest
import torch
from torch import nn
from toy_benchmark import build_toy

from scaling_ood.models import ClassCountError, Classifier, Variant, assemble, build_two_headed, trainable
from scaling_ood.models.network import SharedBackbone

pytestmark = pytest.mark.usefixtures("toy_architecture")

FINE, COARSE = Variant("fine", 0, 4), Variant("coarse", 3, 2)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_published_weights_give_the_published_backbone_and_head(images: torch.Tensor) -> None:
    backbone, head = build_toy(True)
    outputs = assemble("toy", "none", [FINE], {})(images)
    features = backbone.eval()(images)
    assert outputs.keys() == {"fine_seed0"}
    torch.testing.assert_close(outputs["fine_seed0"].features, features)
    torch.testing.assert_close(outputs["fine_seed0"].logits, features @ head.weight.T + head.bias)


def test_trained_heads_share_the_published_backbone_which_runs_once(images: torch.Tensor) -> None:
    heads = {variant.name: trainable("toy", "head", variant) for variant in (FINE, COARSE)}
    states = {name: head.state_dict() for name, head in heads.items()}
    network = assemble("toy", "head", [FINE, COARSE], states)
    assert isinstance(network, SharedBackbone)
    passes = []
    network.backbone.register_forward_hook(lambda *_: passes.append(1))
    outputs = network(images)
    assert len(passes) == 1
    features = build_toy(True)[0].eval()(images)
    for name, head in heads.items():
        torch.testing.assert_close(outputs[name].logits, head(features))
        assert outputs[name].features is outputs["fine_seed0"].features
    assert [outputs[name].logits.shape for name in ("fine_seed0", "coarse_seed3")] == [(6, 4), (6, 2)]


def test_whole_networks_have_a_backbone_each(images: torch.Tensor) -> None:
    modules = {variant.name: trainable("toy_network", "network", variant) for variant in (FINE, COARSE)}
    states = {name: module.state_dict() for name, module in modules.items()}
    outputs = assemble("toy_network", "network", [FINE, COARSE], states)(images)
    for name, module in modules.items():
        torch.testing.assert_close(outputs[name].logits, module.eval()(images))
    assert not torch.equal(outputs["fine_seed0"].features, outputs["coarse_seed3"].features)


@pytest.mark.parametrize("training", ["none", "head", "network"])
def test_an_assembled_network_is_in_evaluation_mode(training: str) -> None:
    states = {FINE.name: trainable("toy", training, FINE).state_dict()}
    assert not any(module.training for module in assemble("toy", training, [FINE], states).modules())


@pytest.mark.parametrize(("classes", "given"), [(3, "3"), (1200, "1,200")])
def test_a_data_set_with_other_classes_than_the_published_head_is_refused(classes: int, given: str) -> None:
    message = f"the published head of toy has 4 classes, but the data set has {given}"
    with pytest.raises(ClassCountError, match=message):
        assemble("toy", "none", [Variant("fine", 0, classes)], {})


def test_a_state_of_another_shape_is_refused() -> None:
    state = {FINE.name: trainable("toy", "head", Variant("fine", 0, 5)).state_dict()}
    with pytest.raises(RuntimeError, match="size mismatch"):
        assemble("toy", "head", [FINE], state)


def test_a_trainable_head_is_linear_and_a_trainable_network_a_classifier() -> None:
    head = trainable("toy", "head", COARSE)
    assert isinstance(head, nn.Linear)
    assert (head.in_features, head.out_features) == (5, 2)
    assert isinstance(trainable("toy_network", "network", COARSE), Classifier)


def test_fine_tuning_starts_from_the_published_backbone_and_a_random_head() -> None:
    published = build_toy(True)[0].state_dict()
    tuned = trainable("toy", "network", FINE, pretrained=True)
    scratch = trainable("toy", "network", FINE)
    for name, weights in published.items():
        torch.testing.assert_close(tuned.backbone.state_dict()[name], weights)
    assert any(not torch.equal(scratch.backbone.state_dict()[name], published[name]) for name in published)
    two = build_two_headed("toy", "network", FINE, 1, pretrained=True)
    torch.testing.assert_close(two.backbone.state_dict(), tuned.backbone.state_dict())
    torch.testing.assert_close(tuned.head.weight, trainable("toy", "network", FINE, pretrained=True).head.weight)


@pytest.mark.parametrize("training", ["head", "network"])
def test_initial_weights_depend_on_the_seed_alone(training: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        return torch.cat([p.flatten() for p in trainable("toy", training, Variant("fine", seed, 4)).parameters()])

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(weights(5), first)
    assert not torch.equal(weights(6), first)


def test_a_variant_is_named_after_labels_and_seed() -> None:
    assert (FINE.name, COARSE.name) == ("fine_seed0", "coarse_seed3")
