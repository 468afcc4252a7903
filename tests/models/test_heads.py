"""Heads by hand: layers, second tasks, dropout masks."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from scaling_ood.detectors.mc_dropout import posterior_variance
from scaling_ood.models import ClassHead, MultiLabelHead

FEATURES = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))


def seeded(build: type, *sizes: int, **options: object) -> ClassHead | MultiLabelHead:
    torch.manual_seed(0)
    return build(*sizes, **options).eval()


def linear(layer: nn.Linear, values: torch.Tensor) -> torch.Tensor:
    return values @ layer.weight.T + layer.bias


@pytest.mark.parametrize(("second", "width", "shape"), [("confidence", 1, (6,)), ("rotations", 4, (6, 4))])
def test_both_tasks_read_the_same_features(second: str, width: int, shape: tuple[int, ...]) -> None:
    head = seeded(ClassHead, 5, 3, second=second)
    outputs = head(FEATURES)
    assert head.second.out_features == width
    assert outputs[second].shape == shape
    assert torch.equal(outputs["features"], FEATURES)
    torch.testing.assert_close(outputs["logits"], linear(head.output, FEATURES))
    torch.testing.assert_close(outputs[second], linear(head.second, FEATURES).view(shape))


def test_a_hidden_layer_is_linear_and_relu_and_both_tasks_read_it() -> None:
    head = seeded(ClassHead, 5, 3, hidden=7, second="rotations")
    hidden = linear(head.hidden[0], FEATURES).clamp(min=0)
    outputs = head(FEATURES)
    torch.testing.assert_close(outputs["features"], hidden)
    torch.testing.assert_close(outputs["logits"], linear(head.output, hidden))
    torch.testing.assert_close(outputs["rotations"], linear(head.second, hidden))


@pytest.mark.parametrize(
    "options", [{"dropout": 0.5}, {"second": "confidence"}, {"dropout": 0.2, "second": "rotations"}]
)
def test_the_layer_of_the_classes_begins_as_a_linear_layer_alone_would(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    alone = nn.Linear(5, 3)
    head = seeded(ClassHead, 5, 3, **options)
    assert torch.equal(head.output.weight, alone.weight)
    assert torch.equal(head.output.bias, alone.bias)


def test_the_papers_head_is_linear_batch_norm_relu_dropout_linear() -> None:
    head = MultiLabelHead(2048, 20).eval()
    assert [type(part) for part in head.hidden] == [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    outputs = head(torch.zeros(1, 2048))
    assert (outputs["features"].shape, outputs["logits"].shape, head.dropout.p) == ((1, 1000), (1, 20), 0.5)
    assert (head.posterior, ClassHead(5, 3).posterior) == ("sigmoid", "softmax")


def test_the_logits_of_the_papers_head_by_hand() -> None:
    head = seeded(MultiLabelHead, 5, 3, width=16)
    norm = head.hidden[1]
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.normal_()
        raw = linear(head.hidden[0], FEATURES)
        scaled = (raw - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias
        hidden = scaled.clamp(min=0)
        torch.testing.assert_close(head(FEATURES)["features"], hidden)
        torch.testing.assert_close(head(FEATURES)["logits"], linear(head.output, hidden))


HEADS = [(MultiLabelHead, {"width": 16}), (ClassHead, {}), (ClassHead, {"hidden": 16, "second": "confidence"})]
each_head = pytest.mark.parametrize(("build", "options"), HEADS)


@each_head
def test_training_drops_penultimate_features_and_gives_the_whole_ones(build: type, options: dict[str, object]) -> None:
    head = seeded(build, 5, 3, dropout=0.5, **options)
    hidden = head(FEATURES)["features"]
    head.dropout.train()
    torch.manual_seed(3)
    outputs = head(FEATURES)
    torch.manual_seed(3)
    kept = functional.dropout(torch.ones_like(hidden), 0.5, True)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(outputs["logits"], linear(head.output, hidden * kept))
    assert torch.equal(outputs["features"], hidden)


@each_head
def test_each_pass_drops_the_same_units_of_all_images_in_any_batch(build: type, options: dict[str, object]) -> None:
    head = seeded(build, 5, 3, dropout=0.25, **options)
    whole = list(head.dropout_passes(FEATURES, 5, seed=1))
    halves = (head.dropout_passes(part, 5, seed=1) for part in (FEATURES[:2], FEATURES[2:]))
    parts = [torch.cat(pair) for pair in zip(*halves, strict=True)]
    torch.testing.assert_close(whole, parts)
    assert len({tuple(logits.flatten().tolist()) for logits in whole}) > 1
    hidden, output = head(FEATURES)["features"], head.output
    masks = [
        (mask.lt(0.75) / 0.75) for mask in torch.rand(5, hidden.shape[1], generator=torch.Generator().manual_seed(1))
    ]
    torch.testing.assert_close(whole, [output(hidden * mask) for mask in masks])


@each_head
def test_many_masks_average_to_the_forward_pass_without(build: type, options: dict[str, object]) -> None:
    head = seeded(build, 5, 3, dropout=0.25, **options)
    with torch.inference_mode():
        mean = torch.stack(list(head.dropout_passes(FEATURES[:1], 20_000, seed=0))).mean(dim=0)
        torch.testing.assert_close(mean, head(FEATURES[:1])["logits"], atol=0.015, rtol=0)


def test_the_variance_of_the_passes_by_hand() -> None:
    head = ClassHead(1, 1, dropout=0.5).eval()
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


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
@each_head
def test_an_impossible_dropout_is_refused(build: type, options: dict[str, object], dropout: float) -> None:
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), not"):
        build(5, 3, dropout=dropout, **options)
