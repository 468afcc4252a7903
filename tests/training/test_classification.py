"""The training of classifiers against hand computations: its batches, loss, rate and weight decay."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from scaling_ood.models import ClassHead
from scaling_ood.training import ResumableState
from scaling_ood.training.classification import Classification, ClassificationRecipe, CrossEntropy
from scaling_ood.training.images import CachedFeatures

CPU = torch.device("cpu")
RECIPE = ClassificationRecipe(epochs=3, batch_images=16, learning_rate=0.05, weight_decay=0.1)


def features(count: int = 40, width: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


class Logits(nn.Module):
    """Makes a head of layers that end in logits."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.layers(inputs)}


def train(
    build: Callable[[], nn.Module],
    recipe: ClassificationRecipe,
    inputs: torch.Tensor | None = None,
    targets: torch.Tensor | None = None,
    smoothing: float = 0.0,
) -> ResumableState:
    inputs = features() if inputs is None else inputs
    targets = torch.arange(len(inputs)) % 4 if targets is None else targets
    lesson = Classification(CachedFeatures(inputs, CPU), targets, recipe, CPU, CrossEntropy(smoothing))
    return list(lesson.train({"one": build}, {"one": 0}))[-1]


def recipe(epochs: int, batch_images: int, learning_rate: float, weight_decay: float = 0.0) -> ClassificationRecipe:
    return ClassificationRecipe(
        epochs=epochs, batch_images=batch_images, learning_rate=learning_rate, weight_decay=weight_decay
    )


def test_every_epoch_sees_every_image_once_in_an_order_of_its_own() -> None:
    numbers = torch.arange(40.0)[:, None]
    lesson = Classification(CachedFeatures(numbers, CPU), torch.arange(40), RECIPE, CPU)
    epochs = []
    for epoch in range(3):
        batches = list(lesson.batches(seed=0, epoch=epoch))
        assert [len(inputs) for inputs, _ in batches] == [16, 16, 8]
        assert all(torch.equal(inputs[:, 0].long(), targets) for inputs, targets in batches)
        epochs.append(torch.cat([targets for _, targets in batches]).tolist())
    assert [sorted(epoch) for epoch in epochs] == [list(range(40))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_of_a_first_step_is_that_of_the_smoothed_targets(smoothing: float) -> None:
    torch.manual_seed(3)
    head = ClassHead(6, 3)
    weights = {name: tensor.clone() for name, tensor in head.output.state_dict().items()}
    inputs, labels = features(5), torch.tensor([0, 2, 1, 1, 0])
    row = train(lambda: head, recipe(1, 5, 0.01), inputs, labels, smoothing)["history"][0]

    expected, right = 0.0, 0
    for image, label in zip(inputs.double(), labels.tolist(), strict=True):
        logits = [
            sum(w * x for w, x in zip(weights["weight"][k].tolist(), image.tolist(), strict=True))
            + weights["bias"][k].item()
            for k in range(3)
        ]
        total = sum(math.exp(value) for value in logits)
        targets = [smoothing / 3 + (1 - smoothing) * (k == label) for k in range(3)]
        expected -= sum(t * math.log(math.exp(v) / total) for t, v in zip(targets, logits, strict=True)) / 5
        right += logits.index(max(logits)) == label
    assert row["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert row["train_accuracy"] == right / 5


def test_the_loss_of_an_epoch_weights_a_smaller_last_batch_by_its_images() -> None:
    class Constant(nn.Module):
        """Log-odds that no gradient moves: the loss of an image depends on its label alone."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": torch.tensor([[1.0, 0.0]]).expand(len(inputs), 2) + 0 * self.unused}

    labels = torch.tensor([0, 0, 0, 0, 1])
    row = train(Constant, recipe(1, 4, 0.1), features(5), labels)["history"][0]
    assert row["train_loss"] == pytest.approx(
        (4 * math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 5, rel=1e-6
    )


def test_the_learning_rate_rises_to_its_peak_and_falls_as_a_cosine() -> None:
    rate = recipe(1, 1, 0.2).rate
    assert rate(0.05) == pytest.approx(0.1)
    assert rate(0.1) == pytest.approx(0.2)
    assert rate(0.55) == pytest.approx(0.1)
    assert rate(0.325) == pytest.approx(0.2 * (1 + math.sqrt(0.5)) / 2)
    assert rate(1.0) == pytest.approx(0.0, abs=1e-12)
    points = [rate(step / 1000) for step in range(1001)]
    assert all(a < b for a, b in itertools.pairwise(points[:101]))
    assert all(a > b for a, b in itertools.pairwise(points[100:]))


def test_each_step_takes_the_rate_of_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    step = torch.optim.AdamW.step

    def recorded(self: torch.optim.AdamW, *arguments: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        assert self.param_groups[1]["lr"] == rates[-1]
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", recorded)
    told = recipe(2, 9, 1.0)  # five steps, of which the last is smaller
    history = train(lambda: ClassHead(6, 4), told)["history"]
    assert rates == pytest.approx([told.rate((step + 0.5) / 10) for step in range(10)])
    assert [row["learning_rate"] for row in history] == [told.rate(0.5), told.rate(1.0)]


def test_weight_decay_shrinks_matrices_and_leaves_biases_and_norms_alone() -> None:
    class Free(nn.Module):
        """All parameters get a gradient of zero, so that decay is the only thing that moves them."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 4))
            for parameter in self.parameters():
                nn.init.ones_(parameter)

        def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": 0 * self.layers(inputs)}

    told = recipe(1, 40, 0.5, weight_decay=0.2)
    shrunk = 1 - told.rate(0.5) * 0.2
    for tensor in train(Free, told)["models"]["one.last"].values():
        torch.testing.assert_close(tensor, torch.full_like(tensor, shrunk if tensor.ndim > 1 else 1.0))


def test_frozen_parameters_stay_as_they_are() -> None:
    def build() -> nn.Module:
        module = Logits(nn.Linear(6, 6), nn.Linear(6, 4))
        nn.init.ones_(module.layers[0].weight).requires_grad_(False)
        return module

    state = train(build, recipe(1, 8, 0.5, weight_decay=0.5))
    assert torch.equal(state["models"]["one.last"]["layers.0.weight"], torch.ones(6, 6))


def test_a_linearly_separable_problem_is_learnt() -> None:
    inputs = features(200, 2, seed=1)
    labels = (inputs[:, 0] + 0.5 * inputs[:, 1] > 0.2).long()
    history = train(lambda: ClassHead(2, 2), recipe(40, 20, 0.1), inputs, labels)["history"]
    assert history[0]["train_accuracy"] < 0.95
    assert history[-1]["train_accuracy"] >= 0.98
    assert history[-1]["train_loss"] < 0.3 * history[0]["train_loss"]
