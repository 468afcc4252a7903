"""Training of segmenters: schedule, groups, losses by hand, validation, and a problem that is learnt."""

import math
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scene_toys import HALF, Rectangles
from torch import nn
from torch.nn import functional
from toy_trainings import segmenter

from scaling_ood.models.segmentation import build_segmenter
from scaling_ood.training import DivergedError, Training
from scaling_ood.training.confidence import Hints
from scaling_ood.training.scenes import Augmentation, SceneError, SceneSets
from scaling_ood.training.segmentation import Segmentation, SegmentationRecipe, parameter_groups, pixel_cross_entropy

CPU = torch.device("cpu")
SETS = SceneSets(Rectangles(8), Rectangles(3, seed=1), HALF, Augmentation((48, 40)))
RECIPE = SegmentationRecipe(epochs=3, batch_images=2, learning_rate=0.05)


def begin(sets: SceneSets, recipe: SegmentationRecipe, **options: float) -> Training:
    return Segmentation(sets, recipe, CPU).begin(partial(segmenter, 0, recipe.hints is not None, **options), 0)


def train(sets: SceneSets, recipe: SegmentationRecipe) -> list[dict[str, float]]:
    build = {"seed0": partial(segmenter, 0, recipe.hints is not None)}
    return list(Segmentation(sets, recipe, CPU).train(build, {"seed0": 0}))[-1]["history"]


def test_the_best_epoch_is_that_of_the_highest_miou_unless_the_recipe_takes_the_last() -> None:
    rows = [{"validation_miou": quality} for quality in (0.2, 0.5, 0.4)]
    assert max(rows, key=Segmentation(SETS, RECIPE, CPU).merit) == rows[1]
    assert Segmentation(SETS, replace(RECIPE, best_epoch="last"), CPU).merit is None


def test_scenes_that_share_a_scale_make_the_step_that_all_together_make() -> None:
    """Of one size and without flips both draw the same; the scenes have equally many pixels that count."""
    sets = replace(SETS, augmentation=Augmentation((), flips=0.0))
    recipe = SegmentationRecipe(epochs=1, batch_images=4, steps_per_epoch=3, learning_rate=0.05)
    # Dropout masks are drawn for each group.
    whole, grouped = (begin(sets, replace(recipe, images_per_scale=images), dropout=0.0) for images in (None, 2))
    assert grouped.epoch(0) == pytest.approx(whole.epoch(0), rel=1e-4)
    torch.testing.assert_close(dict(grouped.module.state_dict()), dict(whole.module.state_dict()), rtol=1e-3, atol=1e-5)


def test_a_scale_is_drawn_for_as_many_scenes_as_the_recipe_says() -> None:
    recipe = replace(RECIPE, batch_images=6, images_per_scale=2, steps_per_epoch=4)
    sampling, groups = recipe.sampling(8, seed=0)
    assert (sampling.images, groups, sampling.per_epoch(8)) == (2, 3, 12)
    sizes = [tuple(batch.pixels.shape) for batch in SETS.training_batches(sampling, 0)]
    assert {size[0] for size in sizes} == {2}
    steps = [set(sizes[step : step + 3]) for step in range(0, 12, 3)]
    assert any(len(step) > 1 for step in steps)
    # One pass over 8 scenes is one step of 6, with the option and without it.
    assert replace(recipe, steps_per_epoch=None).sampling(8, 0)[0].per_epoch(8) == 3
    with pytest.raises(ValueError, match="a step of 6 scenes cannot be cut into groups of 4"):
        replace(recipe, images_per_scale=4)


def test_each_step_takes_its_rate_of_the_polynomial_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    step = torch.optim.SGD.step

    def recorded(self: torch.optim.SGD, *arguments: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        assert self.param_groups[1]["lr"] == rates[-1]
        assert {group["momentum"] for group in self.param_groups} == {0.9}
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    history = train(SETS, SegmentationRecipe(epochs=2, batch_images=2, steps_per_epoch=2))
    assert rates == pytest.approx([0.02, 0.02 * 0.75**0.9, 0.02 * 0.5**0.9, 0.02 * 0.25**0.9], rel=1e-12)
    assert [row["learning_rate"] for row in history] == [rates[1], rates[3]]


def test_only_weights_of_convolutions_and_linear_layers_decay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 4, 3), nn.Linear(4, 2))
    model[3].weight.requires_grad_(False)
    decayed, others = parameter_groups(model, 1e-4)
    assert (decayed["weight_decay"], others["weight_decay"]) == (1e-4, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(model[0].weight), id(model[2].weight)}
    assert {id(p) for p in others["params"]} == {
        id(p) for p in (model[0].bias, model[1].weight, model[1].bias, model[2].bias, model[3].bias)
    }


def test_all_parameters_of_a_segmenter_are_in_one_group_each() -> None:
    model = build_segmenter("pspnet_efficientnet_lite0_short", 3, seed=0, start="random", width=8, confidence=True)
    groups = parameter_groups(model, 1e-4)
    ids = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(ids) == len(set(ids)) == len(list(model.parameters()))
    assert all(parameter.ndim == 4 for parameter in groups[0]["params"])
    assert all(parameter.ndim == 1 for parameter in groups[1]["params"])


def test_cross_entropy_is_the_mean_over_pixels_that_are_not_void() -> None:
    logits = torch.zeros(1, 4, 1, 3)
    logits[0, 2, 0, 0] = math.log(5)
    labels = torch.tensor([[[2, 0, 255]]])
    assert pixel_cross_entropy(logits, labels).item() == pytest.approx((math.log(8 / 5) + math.log(4)) / 2)
    assert pixel_cross_entropy(logits, torch.full((1, 1, 3), 255)).item() == 0


@pytest.mark.parametrize("stride", [8, 2, 1])
def test_the_loss_of_a_step_is_the_main_one_and_four_tenths_of_the_auxiliary_one(stride: int) -> None:
    sets = replace(SETS, label_stride=stride)
    training = begin(sets, replace(RECIPE, steps_per_epoch=1), dropout=0.0)
    model = segmenter(0, dropout=0.0)
    (((batch,)),) = training.lesson.batches(0, 0)
    outputs, labels = model.train()(HALF.normalise(batch.pixels)), batch.labels.long()
    scaled = {
        name: functional.interpolate(maps, scale_factor=8 // stride, mode="bilinear") for name, maps in outputs.items()
    }
    main, auxiliary = (
        functional.cross_entropy(scaled[name], labels, ignore_index=255).item() for name in ("logits", "auxiliary")
    )
    assert training.epoch(0)["train_loss"] == pytest.approx(main + 0.4 * auxiliary, rel=1e-5)


class Posts:
    """Scenes of 48 x 64 pixels with bright posts, class 1, seven pixels wide, between the columns 4, 12, 20, …"""

    def __len__(self) -> int:
        return 4

    def scene(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        labels = np.zeros((48, 64), np.uint8)
        for column in range(8 * index + 5, 8 * index + 12):
            labels[:, column::32] = 1
        return Image.fromarray(np.repeat(60 + 120 * labels[..., None], 3, axis=2)), labels


def test_objects_between_the_steps_of_the_stride_are_learnt_from_dense_labels_alone() -> None:
    sets = SceneSets(Posts(), Posts(), HALF, Augmentation(flips=0.0))
    recipe = replace(RECIPE, epochs=1, steps_per_epoch=60, learning_rate=0.1)
    sparse, dense = (train(replace(sets, label_stride=stride), recipe)[0] for stride in (8, 1))
    assert sparse["validation_miou"] < 0.5
    assert dense["validation_miou"] > 0.6


@pytest.mark.parametrize("unit", ["pixel", "image"])
def test_confidence_is_learnt_where_the_labels_are(unit: Literal["pixel", "image"]) -> None:
    recipe = replace(RECIPE, hints=Hints(unit), steps_per_epoch=1)
    training = begin(replace(SETS, label_stride=1), recipe, dropout=0.0)
    model = segmenter(0, confidence=True, dropout=0.0).train()
    (((batch,)),) = training.lesson.batches(0, 0)
    confidence = model(HALF.normalise(batch.pixels))["confidence"]
    dense = functional.interpolate(confidence[:, None], scale_factor=8, mode="bilinear")[:, 0]
    price = -functional.logsigmoid(dense)[batch.labels != 255].mean().item()
    assert training.epoch(0)["hint_price"] == pytest.approx(price, rel=1e-5)


def test_the_weight_of_hints_moves_by_a_percent_a_step() -> None:
    before = 0.1
    for row in train(SETS, replace(RECIPE, hints=Hints(), steps_per_epoch=1)):
        before = before / (1.01 if row["hint_price"] < 0.3 else 0.99)
        assert row["hint_weight"] == pytest.approx(before, rel=1e-12)


def test_a_confidence_head_without_hints_is_not_trained_and_hints_train_it() -> None:
    for hints in (None, Hints()):
        lesson = Segmentation(SETS, replace(RECIPE, hints=hints, weight_decay=0.0), CPU)
        training = lesson.begin(partial(segmenter, 0, confidence=True), 0)
        training.epoch(0)
        moved = not torch.equal(training.module.confidence.weight, segmenter(0, confidence=True).confidence.weight)
        assert moved is (hints is not None)


class Fixed(nn.Module):
    """Predicts class 1 in the left half, class 0 in the right."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = torch.zeros(len(images), 3, images.shape[2] // 8, images.shape[3] // 8)
        logits[:, 1, :, : logits.shape[3] // 2] = 1
        logits[:, 0, :, logits.shape[3] // 2 :] = 1
        return {"logits": logits}


class Quarters:
    """One scene: the upper half is class 0, the lower one class 1, the lowest rows void."""

    def __init__(self, void: int) -> None:
        self.void = void

    def __len__(self) -> int:
        return 1

    def scene(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        labels = np.zeros((32, 64), np.uint8)
        labels[16:] = 1
        if self.void:
            labels[-self.void :] = 255
        return Image.new("RGB", (64, 32)), labels


def test_validation_counts_at_the_labels_size_without_void() -> None:
    sets = replace(SETS, validation=Quarters(void=8), evaluation_edge=16)
    # Of 16 x 64 pixels of class 0 and 8 x 64 of class 1, half are right.
    expected = {"validation_accuracy": 0.5, "validation_miou": (16 / 40 + 8 / 32) / 2}
    assert Segmentation(sets, RECIPE, CPU).measure(Fixed(), 0) == pytest.approx(expected)


def test_validation_without_a_pixel_that_counts_is_refused() -> None:
    with pytest.raises(SceneError, match="no pixel of the validation scenes has a class"):
        Segmentation(replace(SETS, validation=Quarters(void=32)), RECIPE, CPU).measure(Fixed(), 0)


def test_labels_beyond_the_networks_classes_are_named() -> None:
    class Strange(Rectangles):
        def scene(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
            image, labels = super().scene(index)
            return image, np.where(labels == 1, 254, labels).astype(np.uint8)

    message = r"train ids \[254\] in a training or validation scene, but the network has 2 classes"
    for sets in (replace(SETS, train=Strange(4)), replace(SETS, validation=Strange(2))):
        with pytest.raises(SceneError, match=message):
            train(sets, RECIPE)


def test_a_training_that_diverges_ends_with_the_variant_the_epoch_and_advice() -> None:
    with pytest.raises(DivergedError, match=r"training of seed0 diverged in epoch 1: train_loss = .*learning rate"):
        train(SETS, replace(RECIPE, learning_rate=1e30))


def test_a_two_class_problem_is_learnt_to_more_than_90_percent_miou() -> None:
    size = (96, 128)
    sets = SceneSets(Rectangles(16, size=size), Rectangles(6, seed=1, size=size), HALF, Augmentation((80, 96)))
    recipe = SegmentationRecipe(epochs=5, batch_images=4, steps_per_epoch=16, learning_rate=0.1)
    history = train(sets, recipe)
    best = max(history, key=lambda row: row["validation_miou"])
    assert best["validation_miou"] > 0.9
    assert best["validation_accuracy"] > 0.94
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
