"""Training of multi-label networks: loss and rates by hand, frozen norms, quality on the validation images."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from toy_networks import PREPROCESSING, build_toy
from toy_trainings import CLASSES, CPU, FEATURE_SETS, labelled_features, labelled_photographs

from scaling_ood.images import read_image
from scaling_ood.metrics import mean_average_precision
from scaling_ood.models import ImageNetwork, MultiLabelHead, build_head, build_network
from scaling_ood.training import DivergedError, ResumableState
from scaling_ood.training.multilabel import MultiLabel, MultiLabelRecipe
from scaling_ood.training.multilabel_sets import LabelledFeatures, MultiLabelSets

pytestmark = pytest.mark.usefixtures("toy_architecture")

RECIPE = MultiLabelRecipe(epochs=3, batch_images=4, learning_rate=0.02, backbone_learning_rate=0.01)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> MultiLabelSets:
    return labelled_photographs(tmp_path_factory.mktemp("pictures"))


def head(dropout: float = 0.3) -> MultiLabelHead:
    return build_head("toy", partial(MultiLabelHead, classes=CLASSES, width=8, dropout=dropout), seed=0)


def network(dropout: float = 0.3) -> ImageNetwork:
    make = partial(MultiLabelHead, classes=CLASSES, width=8, dropout=dropout)
    return build_network("toy", make, seed=0, start="published")


def train(sets: MultiLabelSets, recipe: MultiLabelRecipe = RECIPE) -> ResumableState:
    build = head if isinstance(sets.train, LabelledFeatures) else network
    return list(MultiLabel(sets, recipe, CPU).train({"seed0": build}, {"seed0": 0}))[-1]


def test_the_loss_of_a_step_is_the_mean_binary_cross_entropy_by_hand() -> None:
    sets = MultiLabelSets(labelled_features(4, 0), labelled_features(6, 1))
    model = head(dropout=0.0).train()
    with torch.no_grad():
        probability = model(sets.train.features)["logits"].sigmoid()
    targets = sets.train.targets.bool()
    by_hand = -torch.where(targets, probability, 1 - probability).double().log().mean().item()
    training = MultiLabel(sets, RECIPE, CPU).begin(partial(head, dropout=0.0), 0)
    assert training.epoch(0)["train_loss"] == pytest.approx(by_hand, rel=1e-5)


def test_a_first_step_of_adam_moves_head_and_backbone_by_their_own_rates(photographs: MultiLabelSets) -> None:
    recipe = replace(RECIPE, epochs=1, steps_per_epoch=1, learning_rate=1e-2, backbone_learning_rate=1e-3)
    training = MultiLabel(photographs, recipe, CPU).begin(partial(network, dropout=0.0), 0)
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
    groups = MultiLabel(FEATURE_SETS, recipe, CPU).optimiser(network()).param_groups
    assert [group["lr"] for group in groups] == [1e-4, 1e-5]
    assert {(group["betas"], group["weight_decay"]) for group in groups} == {((0.9, 0.999), 0)}


def test_each_parameter_that_is_trained_is_in_one_group() -> None:
    model = network()
    lesson = MultiLabel(FEATURE_SETS, RECIPE, CPU)
    first, second = ([id(p) for p in group["params"]] for group in lesson.optimiser(model).param_groups)
    assert sorted(first) == sorted(id(p) for p in model.head.parameters())
    assert sorted(second) == sorted(id(p) for p in model.backbone[0].parameters())
    (alone,) = lesson.optimiser(head()).param_groups
    assert (len(alone["params"]), alone["lr"]) == (6, 0.02)


def test_training_moves_everything_but_the_backbones_norms(photographs: MultiLabelSets) -> None:
    trained = train(photographs)["models"]["seed0.last"]
    begun = network().state_dict()
    same_as_before = {name for name, tensor in trained.items() if torch.equal(tensor, begun[name])}
    assert same_as_before == {name for name in begun if name.startswith("backbone.1.")}
    published = build_toy(True)[0].state_dict()
    assert all(torch.equal(trained[f"backbone.1.{n}"], published[f"1.{n}"]) for n in ("running_mean", "running_var"))
    network().load_state_dict(trained, strict=True)


def test_the_best_epoch_is_that_of_the_highest_map_unless_the_recipe_takes_the_last() -> None:
    rows = [{"validation_map": quality} for quality in (0.2, 0.5, 0.4)]
    assert max(rows, key=MultiLabel(FEATURE_SETS, RECIPE, CPU).merit) == rows[1]
    assert MultiLabel(FEATURE_SETS, replace(RECIPE, best_epoch="last"), CPU).merit is None


@pytest.mark.parametrize("averaging", ["step", "trapezoid", "voc_2007"])
def test_a_row_is_what_the_network_of_that_epoch_makes_of_the_validation_images(averaging: str) -> None:
    state = train(FEATURE_SETS, replace(RECIPE, averaging=averaging))
    model = head().eval()
    model.load_state_dict(state["models"]["seed0.last"])
    logits = model(FEATURE_SETS.validation.features)["logits"].detach()
    row, targets = state["history"][-1], FEATURE_SETS.validation.targets
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
    state = train(photographs, replace(RECIPE, epochs=1))
    model = network().eval()
    model.load_state_dict(state["models"]["seed0.last"])
    pixels = torch.stack([PREPROCESSING.crop(read_image(path)) for path in photographs.validation.paths])
    logits = model(PREPROCESSING.normalise(pixels))["logits"].detach()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, photographs.validation.targets.float())
    assert state["history"][0]["validation_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_training_that_diverges_ends_with_the_variant_the_epoch_and_advice() -> None:
    bad = replace(FEATURE_SETS.train, features=torch.full((22, 5), math.inf))
    with pytest.raises(DivergedError, match=r"training of seed0 diverged in epoch 1: train_loss = nan.*learning rate"):
        train(replace(FEATURE_SETS, train=bad))


def test_a_problem_of_three_classes_is_learnt(photographs: MultiLabelSets) -> None:
    sets = MultiLabelSets(labelled_features(200, 0), labelled_features(100, 1))
    history = train(sets, replace(RECIPE, epochs=10, batch_images=20))["history"]
    assert max(row["validation_map"] for row in history) > 0.95
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    losses = [row["train_loss"] for row in train(photographs, replace(RECIPE, epochs=25))["history"]]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
