"""Training of multi-label networks: loss and rates by hand, frozen norms, exact resume, the best epoch."""

import copy
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from toy_benchmark import PREPROCESSING, build_toy

from scaling_ood.images import Loading
from scaling_ood.metrics import mean_average_precision
from scaling_ood.models import MultiLabelHead, build_multilabel, build_multilabel_head
from scaling_ood.training.multilabel import MultiLabelRecipe, MultiLabelTraining, rate_groups, train_multilabel
from scaling_ood.training.multilabel_sets import LabelledFeatures, LabelledPhotographs, MultiLabelSets
from scaling_ood.training.resumable import DivergedError, ResumableState

pytestmark = pytest.mark.usefixtures("toy_architecture")

CPU = torch.device("cpu")
RECIPE = MultiLabelRecipe(epochs=3, batch_images=4, learning_rate=0.02, backbone_learning_rate=0.01)
CLASSES = 3


def labelled_features(images: int, seed: int) -> LabelledFeatures:
    """Each class pulls one feature up; the others are noise."""
    random = torch.Generator().manual_seed(seed)
    targets = torch.rand(images, CLASSES, generator=random).lt(0.4).to(torch.uint8)
    features = torch.randn(images, 5, generator=random)
    features[:, :CLASSES] += 3 * targets
    return LabelledFeatures(features, targets)


FEATURES = MultiLabelSets(labelled_features(22, 0), labelled_features(15, 1))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> MultiLabelSets:
    """Grainy pictures of 16 x 12 pixels in which each class lights up one colour."""
    folder = tmp_path_factory.mktemp("pictures")
    sources = []
    for part, images in (("train", 10), ("validation", 6)):
        random = np.random.default_rng(images)
        targets = (random.random((images, CLASSES)) < 0.5).astype(np.uint8)
        pixels = random.integers(0, 120, (images, 12, 16, 3)) + 120 * targets[:, None, None]
        paths = [str(folder / f"{part}{number}.png") for number in range(images)]
        for path, image in zip(paths, pixels.astype(np.uint8), strict=True):
            Image.fromarray(image).save(path)
        sources.append(LabelledPhotographs(paths, torch.from_numpy(targets), PREPROCESSING, loading=Loading(4, 0)))
    return MultiLabelSets(*sources)


@pytest.fixture(params=["features", "photographs"])
def sets(request: pytest.FixtureRequest, photographs: MultiLabelSets) -> MultiLabelSets:
    return FEATURES if request.param == "features" else photographs


def head(seed: int = 0, dropout: float = 0.3) -> MultiLabelHead:
    return build_multilabel_head("toy", CLASSES, seed=seed, width=8, dropout=dropout)


def network(seed: int = 0, dropout: float = 0.3) -> torch.nn.Module:
    return build_multilabel("toy", CLASSES, pretrained=True, seed=seed, width=8, dropout=dropout)


def train(
    sets: MultiLabelSets,
    recipe: MultiLabelRecipe = RECIPE,
    state: ResumableState | None = None,
    variants: tuple[int, ...] = (0, 1),
) -> list[ResumableState]:
    function = head if isinstance(sets.train, LabelledFeatures) else network
    build = {f"seed{seed}": partial(function, seed) for seed in variants}
    seeds = {f"seed{seed}": seed for seed in variants}
    return list(train_multilabel(build, sets, seeds, recipe, CPU, state))


def same(one: ResumableState, other: ResumableState) -> bool:
    if one["models"].keys() != other["models"].keys() or one["history"] != other["history"]:
        return False
    return all(
        torch.equal(tensor, other["models"][model][name])
        for model, weights in one["models"].items()
        for name, tensor in weights.items()
    )


def test_going_on_after_any_epoch_equals_an_uninterrupted_training_bit_for_bit(
    sets: MultiLabelSets, tmp_path: Path
) -> None:
    whole = train(sets)
    assert [(state["current"], state["epoch"]) for state in whole] == [
        (f"seed{seed}", epoch) for seed in (0, 1) for epoch in (1, 2, 3)
    ]
    for after in (1, 3, 4, 6):
        torch.manual_seed(after)
        torch.save(whole[after - 1], tmp_path / "state.pt")
        rest = train(sets, state=torch.load(tmp_path / "state.pt", weights_only=True))
        assert len(rest) == 6 - after
        for resumed, original in zip(rest, whole[after:], strict=True):
            assert same(resumed, original)
            assert resumed["merit"] == original["merit"]


def test_seeds_differ_and_the_global_random_state_neither_matters_nor_changes(sets: MultiLabelSets) -> None:
    recipe = replace(RECIPE, epochs=1)
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state()
    first = train(sets, recipe)[-1]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    np.random.seed(2)
    assert same(train(sets, recipe)[-1], first)
    one, other = (first["models"][f"seed{seed}.last"] for seed in (0, 1))
    name = "output.weight" if "output.weight" in one else "head.output.weight"
    assert not torch.equal(one[name], other[name])


def test_a_state_does_not_change_when_the_training_goes_on(sets: MultiLabelSets) -> None:
    kept = []
    for state in train_multilabel(
        {"seed0": head if isinstance(sets.train, LabelledFeatures) else network}, sets, {"seed0": 0}, RECIPE, CPU
    ):
        kept.append((state, copy.deepcopy(state)))
    assert all(same(state, snapshot) for state, snapshot in kept)


def test_the_weights_can_be_stored_as_tensors_only(sets: MultiLabelSets, tmp_path: Path) -> None:
    models = train(sets, replace(RECIPE, epochs=1), variants=(0,))[-1]["models"]
    save_file({f"{name}/{key}": t for name, model in models.items() for key, t in model.items()}, tmp_path / "model")
    assert {name.split("/")[0] for name in load_file(tmp_path / "model")} == {"seed0.best", "seed0.last"}


def test_the_loss_of_a_step_is_the_mean_binary_cross_entropy_by_hand() -> None:
    sets = MultiLabelSets(labelled_features(4, 0), labelled_features(6, 1))
    model = head(dropout=0.0).train()
    with torch.no_grad():
        probability = model(sets.train.features).sigmoid()
    targets = sets.train.targets.bool()
    by_hand = -torch.where(targets, probability, 1 - probability).double().log().mean().item()
    training = MultiLabelTraining(partial(head, dropout=0.0), sets, 0, replace(RECIPE, epochs=1), CPU)
    assert training.epoch(0)["train_loss"] == pytest.approx(by_hand, rel=1e-5)


def test_a_first_step_of_adam_moves_head_and_backbone_by_their_own_rates(photographs: MultiLabelSets) -> None:
    recipe = replace(RECIPE, epochs=1, steps_per_epoch=1, learning_rate=1e-2, backbone_learning_rate=1e-3)
    training = MultiLabelTraining(partial(network, dropout=0.0), photographs, 0, recipe, CPU)
    before = {name: parameter.detach().clone() for name, parameter in training.module.named_parameters()}
    training.epoch(0)
    # m / sqrt(v) of the first step is the sign of the gradient: every weight that has one moves by the rate.
    for name, rate in (("head.output.weight", 1e-2), ("head.output.bias", 1e-2), ("backbone.0.weight", 1e-3)):
        moved = (training.module.get_parameter(name) - before[name]).abs()
        assert moved.median().item() == pytest.approx(rate, rel=1e-2)
        assert moved.max().item() <= rate * 1.01


def test_the_defaults_are_the_papers_and_its_released_codes() -> None:
    recipe = MultiLabelRecipe()
    assert (recipe.epochs, recipe.batch_images, recipe.steps_per_epoch) == (50, 40, None)
    groups = rate_groups(network(), recipe)
    assert [group["lr"] for group in groups] == [1e-4, 1e-5]
    optimiser = torch.optim.Adam(groups)
    assert {(group["betas"], group["weight_decay"]) for group in optimiser.param_groups} == {((0.9, 0.999), 0)}


def test_each_parameter_that_is_trained_is_in_one_group() -> None:
    model = network()
    first, second = ([id(p) for p in group["params"]] for group in rate_groups(model, RECIPE))
    assert sorted(first) == sorted(id(p) for p in model.head.parameters())
    assert sorted(second) == sorted(id(p) for p in model.backbone[0].parameters())
    (alone,) = rate_groups(head(), RECIPE)
    assert (len(alone["params"]), alone["lr"]) == (6, 0.02)


def test_training_moves_everything_but_the_backbones_norms(photographs: MultiLabelSets) -> None:
    trained = train(photographs, variants=(0,))[-1]["models"]["seed0.last"]
    begun = network().state_dict()
    same_as_before = {name for name, tensor in trained.items() if torch.equal(tensor, begun[name])}
    assert same_as_before == {name for name in begun if name.startswith("backbone.1.")}
    published = build_toy(True)[0].state_dict()
    assert all(torch.equal(trained[f"backbone.1.{n}"], published[f"1.{n}"]) for n in ("running_mean", "running_var"))
    network().load_state_dict(trained, strict=True)


def test_the_best_epoch_is_the_first_of_the_highest_validation_map_and_the_last_is_kept_beside_it() -> None:
    states = train(FEATURES, replace(RECIPE, epochs=12, learning_rate=0.1), variants=(0,))
    maps = [row["validation_map"] for row in states[-1]["history"]]
    best = maps.index(max(maps))
    assert 0 < best < 11
    assert maps.count(max(maps)) > 1
    kept = states[-1]["models"]["seed0.best"]
    assert all(torch.equal(tensor, states[best]["models"]["seed0.last"][name]) for name, tensor in kept.items())
    assert states[-1]["merit"] == max(maps)
    assert states[-1]["models"].keys() == {"seed0.best", "seed0.last"}


def test_the_last_epoch_is_used_where_the_recipe_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the released code; here with a quality that falls, so that the first epoch would be the best."""
    monkeypatch.setattr(MultiLabelTraining, "_validate", lambda self: (1.0, 1.0 / (2 + next(counted))))
    for best_epoch, kept in (("validation", 0), ("last", 2)):
        counted = iter(range(9))
        recipe = replace(RECIPE, best_epoch=best_epoch)
        states = list(train_multilabel({"a": head}, FEATURES, {"a": 0}, recipe, CPU))
        for name, tensor in states[-1]["models"]["a.best"].items():
            assert torch.equal(tensor, states[kept]["models"]["a.last"][name])


@pytest.mark.parametrize("averaging", ["step", "trapezoid", "voc_2007"])
def test_a_row_is_what_the_network_of_that_epoch_makes_of_the_validation_images(averaging: str) -> None:
    state = train(FEATURES, replace(RECIPE, averaging=averaging), variants=(0,))[-1]
    model = head().eval()
    model.load_state_dict(state["models"]["seed0.last"])
    logits = model(FEATURES.validation.features).detach()
    row, targets = state["history"][-1], FEATURES.validation.targets
    assert row["validation_map"] == mean_average_precision(logits, targets, averaging).mean
    loss = torch.nn.BCELoss()(logits.double().sigmoid(), targets.double()).item()
    assert row["validation_loss"] == pytest.approx(loss, rel=1e-5)
    assert row.keys() == {
        "variant",
        "epoch",
        "train_loss",
        "learning_rate",
        "validation_loss",
        "validation_map",
    }


def test_validation_sees_the_photographs_without_crops_or_dropout(photographs: MultiLabelSets) -> None:
    state = train(photographs, replace(RECIPE, epochs=1), variants=(0,))[-1]
    model = network().eval()
    model.load_state_dict(state["models"]["seed0.last"])
    pixels = torch.stack([PREPROCESSING.load(path) for path in photographs.validation.paths])
    logits = model(PREPROCESSING.normalise(pixels)).detach()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, photographs.validation.targets.float())
    assert state["history"][0]["validation_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_training_that_diverges_ends_with_the_variant_the_epoch_and_advice() -> None:
    bad = replace(FEATURES.train, features=torch.full((22, 5), math.inf))
    with pytest.raises(DivergedError, match=r"training of seed0 diverged in epoch 1: train_loss = nan.*learning rate"):
        train(replace(FEATURES, train=bad))


def test_a_problem_of_three_classes_is_learnt(photographs: MultiLabelSets) -> None:
    sets = MultiLabelSets(labelled_features(200, 0), labelled_features(100, 1))
    history = train(sets, replace(RECIPE, epochs=10, batch_images=20), variants=(0,))[-1]["history"]
    assert max(row["validation_map"] for row in history) > 0.95
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    losses = [row["train_loss"] for row in train(photographs, replace(RECIPE, epochs=25), variants=(0,))[-1]["history"]]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_bf16_trains_as_well(sets: MultiLabelSets) -> None:
    row = train(sets, replace(RECIPE, epochs=1, precision="bf16"), variants=(0,))[-1]["history"][0]
    assert math.isfinite(row["train_loss"])
