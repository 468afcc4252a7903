"""What the loop promises for every kind of training: exact resume, independence of all but the seed, the best epoch."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from toy_trainings import TRAININGS

from scaling_ood.training import DivergedError, Lesson, Recipe, ResumableState, train
from scaling_ood.training.loop import Step
from scaling_ood.training.ranks import ALONE, Ranks, Share

pytestmark = pytest.mark.usefixtures("toy_architecture")

Build = Callable[[int], nn.Module]


@pytest.fixture(params=TRAININGS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Lesson, Build]:
    """A lesson of three epochs, and what builds its network of a seed."""
    return TRAININGS[request.param](tmp_path)


def trained(kind: tuple[Lesson, Build], state: ResumableState | None = None, **changes: object) -> list[ResumableState]:
    lesson, build = kind
    lesson = replace(lesson, recipe=replace(lesson.recipe, **changes))
    build = {f"seed{seed}": partial(build, seed) for seed in (0, 1)}
    return list(lesson.train(build, {"seed0": 0, "seed1": 1}, state))


def same(one: ResumableState, other: ResumableState) -> bool:
    if one["models"].keys() != other["models"].keys() or one["history"] != other["history"]:
        return False
    return all(
        torch.equal(tensor, other["models"][model][name])
        for model, weights in one["models"].items()
        for name, tensor in weights.items()
    )


def test_going_on_after_any_epoch_equals_an_uninterrupted_training_bit_for_bit(
    kind: tuple[Lesson, Build], tmp_path: Path
) -> None:
    whole = trained(kind)
    assert [(state["current"], state["epoch"], len(state["history"])) for state in whole] == [
        (f"seed{seed}", epoch, 3 * seed + epoch) for seed in (0, 1) for epoch in (1, 2, 3)
    ]
    for after in (1, 3, 4, 6):
        torch.manual_seed(after)
        torch.save(whole[after - 1], tmp_path / "state.pt")
        rest = trained(kind, torch.load(tmp_path / "state.pt", weights_only=True))
        assert len(rest) == 6 - after
        for resumed, original in zip(rest, whole[after:], strict=True):
            assert same(resumed, original)
            assert (resumed["merit"], resumed["extra"]) == (original["merit"], original["extra"])


def test_seeds_differ_and_the_global_random_state_neither_matters_nor_changes(kind: tuple[Lesson, Build]) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state()
    first = trained(kind, epochs=1)[-1]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    np.random.seed(2)
    assert same(trained(kind, epochs=1)[-1], first)
    one, other = (first["models"][f"seed{seed}.last"] for seed in (0, 1))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_state_does_not_change_when_the_training_goes_on(kind: tuple[Lesson, Build]) -> None:
    lesson, build = kind
    kept = []
    for state in lesson.train({"a": partial(build, 0)}, {"a": 0}):
        kept.append((state, copy.deepcopy(state)))
    for state, snapshot in kept:
        assert same(state, snapshot)
        moments = zip(state["optimiser"]["state"].values(), snapshot["optimiser"]["state"].values(), strict=True)
        assert all(torch.equal(torch.as_tensor(a[key]), torch.as_tensor(b[key])) for a, b in moments for key in a)


def test_the_weights_can_be_stored_as_tensors_only(kind: tuple[Lesson, Build], tmp_path: Path) -> None:
    models = trained(kind, epochs=1)[-1]["models"]
    save_file({f"{name}/{key}": t for name, model in models.items() for key, t in model.items()}, tmp_path / "model")
    assert {name.split("/")[0] for name in load_file(tmp_path / "model")} == set(models)
    assert set(models) == {f"seed{seed}.{which}" for seed in (0, 1) for which in ("best", "last")}


def test_bf16_trains_as_well_and_computes_other_numbers(kind: tuple[Lesson, Build]) -> None:
    single, half = (trained(kind, epochs=1, precision=name)[-1]["history"][0] for name in ("float32", "bf16"))
    assert math.isfinite(half["train_loss"])
    assert half["train_loss"] != single["train_loss"]


class Scripted(Lesson[float]):
    """One weight that grows by one a step; the qualities of the epochs are given."""

    def __init__(self, qualities: tuple[float, ...], best: bool = True) -> None:
        self.recipe, self.device = Recipe(epochs=len(qualities), batch_images=1, learning_rate=1.0), torch.device("cpu")
        self.qualities, self.best = qualities, best

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=1.0)

    def batches(self, seed: int, epoch: int, share: Share = ALONE.share) -> Iterator[float]:
        return iter((1.0, 3.0))

    def step(self, module: nn.Module, batch: float, extra: Mapping[str, float], ranks: Ranks = ALONE) -> Step:
        return Step(-module.weight.sum(), {"seen": (2 * batch, batch), "none": (0.0, 0.0)})

    def after(self, extra: Mapping[str, float], means: Mapping[str, float]) -> dict[str, float]:
        assert means == {"seen": 2.0}
        return {"steps": extra["steps"] + 1}

    def measure(self, module: nn.Module, epoch: int) -> dict[str, float]:
        assert not module.training
        return {"quality": self.qualities[epoch]}

    @property
    def extra(self) -> dict[str, float]:
        return {"steps": 0}

    @property
    def merit(self) -> Callable[[Mapping[str, float]], float] | None:
        return (lambda row: row["quality"]) if self.best else None


def scripted(qualities: tuple[float, ...], best: bool = True) -> list[ResumableState]:
    return list(Scripted(qualities, best).train({"a": lambda: nn.Linear(1, 1, bias=False)}, {"a": 0}))


@pytest.mark.parametrize(
    ("qualities", "by_merit", "best"),
    [((0.1, 0.3, 0.2), True, 1), ((0.1, 0.3, 0.3), True, 1), ((0.3, 0.2, 0.1), True, 0), ((0.3, 0.2, 0.1), False, 2)],
)
def test_the_best_epoch_is_the_first_of_the_highest_merit_or_else_the_last(
    qualities: tuple[float, ...], by_merit: bool, best: int
) -> None:
    states = scripted(qualities, by_merit)
    assert torch.equal(states[-1]["models"]["a.best"]["weight"], states[best]["models"]["a.last"]["weight"])
    assert states[-1]["merit"] == (qualities[best] if by_merit else best)
    for earlier, later in pairwise(states):
        assert later["models"]["a.last"]["weight"].item() == pytest.approx(earlier["models"]["a.last"]["weight"] + 2)


def test_a_row_has_quotients_over_the_epoch_what_changes_the_rate_and_the_measures() -> None:
    first, second = scripted((0.5, 0.6))[-1]["history"]
    assert first == {"variant": "a", "epoch": 1, "seen": 2, "none": 0, "steps": 2, "learning_rate": 1, "quality": 0.5}
    assert second == first | {"epoch": 2, "steps": 4, "quality": 0.6}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_training_whose_numbers_are_none_ends_with_network_epoch_and_advice(bad: float) -> None:
    message = rf"^training of a diverged in epoch 2: quality = {bad}; try a lower learning rate$"
    with pytest.raises(DivergedError, match=message):
        scripted((0.5, bad))


def test_weights_that_diverge_in_the_last_step_are_refused_too() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, math.inf)
    run = Scripted((0.5,)).train({"a": lambda: module}, {"a": 0})
    with pytest.raises(DivergedError, match=r"^training of a diverged in epoch 1: weight is not finite"):
        next(run)


def test_nothing_to_train_is_no_error() -> None:
    assert list(train({}, 1, None)) == []
