"""Multi-label networks: the head by hand, frozen norms, the split at the dropout, initial weights, assembly."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from toy_benchmark import PREPROCESSING, build_toy

from scaling_ood.detectors.mc_dropout import posterior_variance
from scaling_ood.models import Forward, Variant
from scaling_ood.models.multilabel import (
    MultiLabelClassifier,
    MultiLabelHead,
    assemble_multilabel,
    build_multilabel,
    build_multilabel_head,
)

pytestmark = pytest.mark.usefixtures("toy_architecture")

IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
VARIANTS = [Variant("fine", 0, 3), Variant("fine", 1, 3)]


def network(seed: int = 0, dropout: float = 0.5) -> MultiLabelClassifier:
    return build_multilabel("toy", 3, pretrained=True, seed=seed, width=16, dropout=dropout)


def test_shapes_on_the_papers_backbone_and_head() -> None:
    model = build_multilabel("resnet101", 20, pretrained=False).eval()
    with torch.inference_mode():
        features = model.encode(torch.zeros(1, 3, 64, 64))
        hidden = model.head.penultimate(features)
        assert (features.shape, hidden.shape, model.classify(hidden).shape) == ((1, 2048), (1, 1000), (1, 20))
    assert [type(part) for part in model.head.hidden] == [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert model.head.dropout.p == 0.5


def test_the_logits_by_hand() -> None:
    model = network().eval()
    norm = model.head.hidden[1]
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.normal_()
        linear, output = model.head.hidden[0], model.head.output
        features = build_toy(True)[0].eval()(IMAGES)
        torch.testing.assert_close(model.encode(IMAGES), features)
        raw = features @ linear.weight.T + linear.bias
        scaled = (raw - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias
        hidden = scaled.clamp(min=0)
        torch.testing.assert_close(model.penultimate(IMAGES), hidden)
        torch.testing.assert_close(model(IMAGES), hidden @ output.weight.T + output.bias)


def test_the_backbones_norms_neither_learn_nor_count_while_the_heads_does() -> None:
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert model.train() is model
    assert model.training
    assert not any(part.training for part in model.backbone.modules() if isinstance(part, nn.BatchNorm2d))
    model(IMAGES).square().sum().backward()
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("backbone"))
    assert not torch.equal(after["head.hidden.1.running_mean"], before["head.hidden.1.running_mean"])
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == {"backbone.1.weight", "backbone.1.bias"}


def test_a_step_leaves_the_frozen_norms_as_published_and_moves_the_convolution() -> None:
    model = network().train()
    published = build_toy(True)[0].state_dict()
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        model(IMAGES).square().sum().backward()
        optimiser.step()
    moved = {name for name, tensor in model.backbone.state_dict().items() if not torch.equal(tensor, published[name])}
    assert moved == {"0.weight", "0.bias"}


def test_training_uses_the_published_statistics_and_not_the_batchs() -> None:
    model = network().train()
    torch.testing.assert_close(model.encode(IMAGES)[:1], model.encode(IMAGES[:1]))
    assert torch.equal(model.encode(IMAGES), model.eval().encode(IMAGES))


def test_every_norm_of_a_real_backbone_is_frozen_from_the_start() -> None:
    model = build_multilabel("efficientnet_lite0", 3, pretrained=False, width=8)
    norms = [part for part in model.backbone.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) > 40
    assert not any(norm.training or norm.weight.requires_grad or norm.bias.requires_grad for norm in norms)
    assert model.head.hidden[1].training


def test_the_part_behind_the_dropout_without_dropout_is_the_plain_forward_pass() -> None:
    model = network().eval()
    assert torch.equal(model.classify(model.penultimate(IMAGES)), model(IMAGES))


def test_dropout_on_demand_drops_in_evaluation_mode_what_training_would() -> None:
    model = network().eval()
    hidden = model.penultimate(IMAGES)
    torch.manual_seed(3)
    first = model.classify(hidden, dropout=True)
    torch.manual_seed(3)
    kept = functional.dropout(torch.ones(6, 16), 0.5, True)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(first, model.classify(hidden * kept))
    assert not any(part.training for part in model.modules())
    torch.manual_seed(3)
    model.head.dropout.train()
    assert torch.equal(model(IMAGES), first)


def test_each_pass_drops_the_same_units_of_all_images_in_any_batch() -> None:
    head = network(dropout=0.25).head.eval()
    hidden = torch.rand(6, 16)
    whole = list(head.dropout_passes(hidden, 5, seed=1))
    halves = (head.dropout_passes(part, 5, seed=1) for part in (hidden[:2], hidden[2:]))
    parts = [torch.cat(pair) for pair in zip(*halves, strict=True)]
    torch.testing.assert_close(whole, parts)
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(whole[0], next(head.dropout_passes(hidden, 1, seed=2)))


def test_many_masks_average_to_the_forward_pass_without() -> None:
    head = network(dropout=0.25).head.eval()
    hidden = torch.rand(1, 16)
    with torch.inference_mode():
        mean = torch.stack(list(head.dropout_passes(hidden, 20_000, seed=0))).mean(dim=0)
        torch.testing.assert_close(mean, head.classify(hidden), atol=0.01, rtol=0)


def test_the_variance_of_the_passes_by_hand() -> None:
    head = MultiLabelHead(2, 1, width=1, dropout=0.5).eval()
    with torch.no_grad():
        head.output.weight.fill_(1)
        head.output.bias.zero_()
    passes = list(head.dropout_passes(torch.tensor([[0.7]]), 10, seed=0))
    kept = sum(logits.item() != 0 for logits in passes)
    assert 0 < kept < 10
    high, low = torch.tensor(1.4, dtype=torch.float64).sigmoid().item(), 0.5
    share = kept / 10
    expected = share * (1 - share) * (high - low) ** 2
    assert posterior_variance(passes, "sigmoid").item() == pytest.approx(expected, rel=1e-6)


def test_no_dropout_has_no_variance() -> None:
    head = network(dropout=0.0).head.eval()
    assert posterior_variance(head.dropout_passes(torch.rand(4, 16), 3, 0), "sigmoid").tolist() == [0.0] * 4


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_an_impossible_dropout_is_refused(dropout: float) -> None:
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), not"):
        build_multilabel_head("toy", 3, dropout=dropout)


def test_initial_weights_depend_on_the_seed_alone_and_the_head_not_on_what_is_trained_with_it() -> None:
    def weights(seed: int) -> torch.Tensor:
        return torch.cat([p.flatten() for p in network(seed).head.parameters()])

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(weights(5), first)
    assert not torch.equal(weights(6), first)
    alone = build_multilabel_head("toy", 3, seed=5, width=16)
    assert torch.equal(torch.cat([p.flatten() for p in alone.parameters()]), first)


def test_a_backbone_without_published_weights_cannot_be_trained() -> None:
    with pytest.raises(ValueError, match="'toy_network' has no published weights, and its batch norms are frozen"):
        build_multilabel("toy_network", 3, pretrained=True)


def test_trained_heads_share_the_published_backbone_which_runs_once() -> None:
    heads = {v.name: build_multilabel_head("toy", 3, seed=v.seed, width=16) for v in VARIANTS}
    states = {name: head.state_dict() for name, head in heads.items()}
    model = assemble_multilabel("toy", "head", VARIANTS, states, width=16, dropout=0.1)
    passes = []
    model.classifier("fine_seed0").backbone.register_forward_hook(lambda *_: passes.append(1))
    outputs = model(IMAGES)
    assert len(passes) == 1
    features = build_toy(True)[0].eval()(IMAGES)
    for name, head in heads.items():
        torch.testing.assert_close(outputs[name].features, head.eval().penultimate(features))
        torch.testing.assert_close(outputs[name].logits, head(features))
    assert model.classifier("fine_seed1").head.dropout.p == 0.1


def test_whole_networks_have_a_backbone_each() -> None:
    models = {v.name: network(v.seed) for v in VARIANTS}
    for model in models.values():
        nn.init.normal_(model.backbone[0].weight)
    states = {name: model.state_dict() for name, model in models.items()}
    outputs = assemble_multilabel("toy", "network", VARIANTS, states, width=16)(IMAGES)
    for name, model in models.items():
        torch.testing.assert_close(outputs[name].logits, model.eval()(IMAGES))
        torch.testing.assert_close(outputs[name].features, model.penultimate(IMAGES))
    assert not torch.equal(outputs["fine_seed0"].features, outputs["fine_seed1"].features)


@pytest.mark.parametrize("training", ["head", "network"])
def test_an_assembled_network_is_in_evaluation_mode_and_runs_as_any_other(training: str) -> None:
    module = build_multilabel_head("toy", 3, width=16) if training == "head" else network()
    model = assemble_multilabel("toy", training, VARIANTS[:1], {"fine_seed0": module.state_dict()}, width=16)
    assert not any(part.training for part in model.modules())
    forward = Forward("cpu")
    images = torch.randint(0, 256, (4, 3, 8, 8)).to(torch.uint8)
    outputs = forward.batch(forward.place(model), PREPROCESSING, images)["fine_seed0"]
    assert (outputs.logits.shape, outputs.features.shape) == ((4, 3), (4, 16))


@pytest.mark.parametrize("training", ["head", "network"])
def test_a_state_loads_whole_or_not_at_all(training: str) -> None:
    def state(classes: int) -> dict[str, torch.Tensor]:
        if training == "head":
            return build_multilabel_head("toy", classes, width=16).state_dict()
        return build_multilabel("toy", classes, pretrained=True, width=16).state_dict()

    lacking = {name: tensor for name, tensor in state(3).items() if not name.endswith("output.bias")}
    for wrong, message in (
        (state(4), "size mismatch"),
        (lacking, "Missing key"),
        (state(3) | {"x": IMAGES}, "Unexpec"),
    ):
        with pytest.raises(RuntimeError, match=message):
            assemble_multilabel("toy", training, VARIANTS[:1], {"fine_seed0": wrong}, width=16)
