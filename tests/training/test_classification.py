"""The training loop against hand computations, and its independence of everything but seed and epoch."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

from scaling_ood.training import Recipe, TrainingState, train_classifiers
from scaling_ood.training.images import CachedFeatures
from scaling_ood.training.resumable import DivergedError, refuse_divergence

CPU = torch.device("cpu")


def features(count: int = 40, width: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def with_dropout(seed: int, classes: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, classes))


def train(recipe: Recipe, state: TrainingState | None = None, seeds: tuple[int, int] = (0, 1)) -> list[TrainingState]:
    labels = torch.arange(40) % 4
    return list(
        train_classifiers(
            {"fine": lambda: with_dropout(0, 4), "coarse": lambda: with_dropout(1, 2)},
            CachedFeatures(features(), CPU),
            {"fine": labels, "coarse": labels % 2},
            {"fine": seeds[0], "coarse": seeds[1]},
            recipe,
            state,
        )
    )


def same_weights(one: TrainingState, other: TrainingState) -> bool:
    return one["models"].keys() == other["models"].keys() and all(
        torch.equal(tensor, other["models"][variant][name])
        for variant, model in one["models"].items()
        for name, tensor in model.items()
    )


RECIPE = Recipe(epochs=3, batch_images=16, learning_rate=0.05, weight_decay=0.1, label_smoothing=0.1)


def test_there_is_one_state_per_epoch_and_variant_and_the_last_holds_all_models() -> None:
    states = train(RECIPE)
    assert [(state["current"], state["epoch"]) for state in states] == [
        (variant, epoch) for variant in ("fine", "coarse") for epoch in (1, 2, 3)
    ]
    assert states[-1]["models"].keys() == {"fine", "coarse"}
    assert [len(state["history"]) for state in states] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("interrupted_after", range(1, 7))
def test_going_on_after_any_epoch_equals_an_uninterrupted_training_bit_for_bit(interrupted_after: int) -> None:
    whole = train(RECIPE)
    torch.manual_seed(99)
    rest = train(RECIPE, copy.deepcopy(whole[interrupted_after - 1]))
    assert len(rest) == 6 - interrupted_after
    for resumed, original in zip(rest, whole[interrupted_after:], strict=True):
        assert same_weights(resumed, original)
        assert resumed["history"] == original["history"]


def test_a_state_does_not_change_when_training_goes_on() -> None:
    kept = []
    labels = {"one": torch.arange(40) % 4}
    run = train_classifiers(
        {"one": lambda: with_dropout(0, 4)}, CachedFeatures(features(), CPU), labels, {"one": 0}, RECIPE
    )
    for state in run:
        kept.append((state, copy.deepcopy(state)))
    for state, copied in kept:
        moments = zip(state["optimiser"]["state"].values(), copied["optimiser"]["state"].values(), strict=True)
        assert all(torch.equal(one[key], other[key]) for one, other in moments for key in one)
        assert same_weights(state, copied)


def test_the_global_random_state_neither_matters_nor_changes() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = train(RECIPE)[-1]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same_weights(train(RECIPE)[-1], first)


def test_another_seed_gives_another_order_and_other_weights() -> None:
    assert not same_weights(train(RECIPE)[-1], train(RECIPE, seeds=(5, 1))[-1])


def test_every_epoch_sees_every_image_once_in_an_order_of_its_own() -> None:
    seen: list[list[int]] = []

    class Recorder(CachedFeatures):
        def batch(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            seen[-1].extend(indices.tolist())
            return super().batch(indices, generator)

    images = Recorder(features(), CPU)
    build = {"one": lambda: with_dropout(0, 4)}
    run = train_classifiers(build, images, {"one": torch.arange(40) % 4}, {"one": 0}, RECIPE)
    for _ in range(RECIPE.epochs):
        seen.append([])
        next(run)
    assert [sorted(epoch) for epoch in seen] == [list(range(40))] * 3
    assert len({tuple(epoch) for epoch in seen}) == 3


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_of_a_first_step_is_that_of_the_smoothed_targets(smoothing: float) -> None:
    torch.manual_seed(3)
    head = nn.Linear(6, 3)
    weights = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    inputs, labels = features(5), torch.tensor([0, 2, 1, 1, 0])
    recipe = Recipe(1, 5, 0.01, 0.0, smoothing)
    run = train_classifiers({"one": lambda: head}, CachedFeatures(inputs, CPU), {"one": labels}, {"one": 0}, recipe)
    row = next(run)["history"][0]

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

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 0.0]]).expand(len(inputs), 2) + 0 * self.unused

    labels = torch.tensor([0, 0, 0, 0, 1])
    recipe = Recipe(1, 4, 0.1, 0.0)
    run = train_classifiers({"one": Constant}, CachedFeatures(features(5), CPU), {"one": labels}, {"one": 0}, recipe)
    expected = (4 * math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 5
    assert next(run)["history"][0]["train_loss"] == pytest.approx(expected, rel=1e-6)


def test_the_learning_rate_rises_to_its_peak_and_falls_as_a_cosine() -> None:
    recipe = Recipe(1, 1, 0.2, 0.0)
    assert recipe.rate(0.05) == pytest.approx(0.1)
    assert recipe.rate(0.1) == pytest.approx(0.2)
    assert recipe.rate(0.55) == pytest.approx(0.1)
    assert recipe.rate(0.325) == pytest.approx(0.2 * (1 + math.sqrt(0.5)) / 2)
    assert recipe.rate(1.0) == pytest.approx(0.0, abs=1e-12)
    points = [recipe.rate(step / 1000) for step in range(1001)]
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
    recipe = Recipe(epochs=2, batch_images=8, learning_rate=1.0, weight_decay=0.0)
    build = {"one": lambda: nn.Linear(6, 4)}
    list(train_classifiers(build, CachedFeatures(features(), CPU), {"one": torch.arange(40) % 4}, {"one": 0}, recipe))
    assert rates == pytest.approx([recipe.rate((step + 0.5) / 10) for step in range(10)])


def test_weight_decay_shrinks_matrices_and_leaves_biases_and_norms_alone() -> None:
    class Free(nn.Module):
        """All parameters get a gradient of zero, so that decay is the only thing that moves them."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 4))
            for parameter in self.parameters():
                nn.init.ones_(parameter)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return 0 * self.layers(inputs)

    recipe = Recipe(epochs=1, batch_images=40, learning_rate=0.5, weight_decay=0.2)
    labels = {"one": torch.arange(40) % 4}
    model = next(train_classifiers({"one": Free}, CachedFeatures(features(), CPU), labels, {"one": 0}, recipe))
    shrunk = 1 - recipe.rate(0.5) * 0.2
    for tensor in model["models"]["one"].values():
        torch.testing.assert_close(tensor, torch.full_like(tensor, shrunk if tensor.ndim > 1 else 1.0))


def test_frozen_parameters_stay_as_they_are() -> None:
    def build() -> nn.Module:
        module = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 4))
        nn.init.ones_(module[0].weight).requires_grad_(False)
        return module

    recipe = Recipe(1, 8, 0.5, 0.5)
    labels = {"one": torch.arange(40) % 4}
    state = next(train_classifiers({"one": build}, CachedFeatures(features(), CPU), labels, {"one": 0}, recipe))
    assert torch.equal(state["models"]["one"]["0.weight"], torch.ones(6, 6))


def test_a_linearly_separable_problem_is_learnt() -> None:
    inputs = features(200, 2, seed=1)
    labels = (inputs[:, 0] + 0.5 * inputs[:, 1] > 0.2).long()
    recipe = Recipe(epochs=40, batch_images=20, learning_rate=0.1, weight_decay=0.0)
    build = {"one": lambda: nn.Linear(2, 2)}
    history = list(train_classifiers(build, CachedFeatures(inputs, CPU), {"one": labels}, {"one": 0}, recipe))[-1][
        "history"
    ]
    assert history[0]["train_accuracy"] < 0.95
    assert history[-1]["train_accuracy"] >= 0.98
    assert history[-1]["train_loss"] < 0.3 * history[0]["train_loss"]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_training_whose_numbers_are_none_ends_with_variant_and_epoch(bad: float) -> None:
    inputs = features()
    inputs[7, 0] = bad
    labels = {"one": torch.arange(40) % 4}
    run = train_classifiers(
        {"one": lambda: with_dropout(0, 4)}, CachedFeatures(inputs, CPU), labels, {"one": 0}, RECIPE
    )
    with pytest.raises(DivergedError, match=r"^training of one diverged in epoch 1: .*; try a lower learning rate$"):
        list(run)


def test_weights_that_diverge_in_the_last_step_are_refused_too() -> None:
    with pytest.raises(DivergedError, match=r"^training of one diverged in epoch 3: fc\.weight is not finite"):
        refuse_divergence("one", 2, {"train_loss": 0.1}, {"fc.weight": torch.tensor([0.0, torch.nan])})
