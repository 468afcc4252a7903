"""Training of the autoencoder: it learns to reconstruct, resumes exactly, and keeps its best epoch."""

import copy
from dataclasses import replace

import pytest
import torch
from scene_toys import HALF, Rectangles

from scaling_ood.models.segmentation import build_autoencoder, reconstruction_error
from scaling_ood.training.reconstruction import ReconstructionRecipe, train_autoencoders
from scaling_ood.training.resumable import ResumableState
from scaling_ood.training.scenes import Augmentation, SceneSets

CPU = torch.device("cpu")
SETS = SceneSets(Rectangles(4), Rectangles(2, seed=1), HALF, Augmentation(flips=0.5))
RECIPE = ReconstructionRecipe(epochs=3, batch_images=2, learning_rate=1e-3)


def train(recipe: ReconstructionRecipe = RECIPE, state: ResumableState | None = None) -> list[ResumableState]:
    return list(train_autoencoders({"seed0": build_autoencoder}, SETS, {"seed0": 0}, recipe, CPU, state))


def test_going_on_after_any_epoch_equals_an_uninterrupted_training_bit_for_bit() -> None:
    whole = train()
    for after in (1, 2):
        torch.manual_seed(after)
        for resumed, original in zip(train(state=copy.deepcopy(whole[after - 1])), whole[after:], strict=True):
            assert resumed["history"] == original["history"]
            for model, weights in original["models"].items():
                assert all(torch.equal(tensor, resumed["models"][model][name]) for name, tensor in weights.items())


@pytest.mark.parametrize("difference", ["l1", "l2"])
def test_a_few_steps_reconstruct_better_than_the_mean(difference: str) -> None:
    recipe = ReconstructionRecipe(2, 4, steps_per_epoch=20, learning_rate=3e-3, difference=difference)
    state = train(recipe)[-1]
    model = build_autoencoder().eval()
    model.load_state_dict(state["models"]["seed0.best"])
    pixels = torch.cat([scene.pixels for scene in SETS.validation_scenes()])
    images = HALF.normalise(pixels)
    with torch.inference_mode():
        error = reconstruction_error(images, model(images), difference).mean()
    blank = reconstruction_error(images, images.mean(dim=(2, 3), keepdim=True).expand_as(images), difference).mean()
    assert error < 0.6 * blank
    best = min(row["validation_loss"] for row in state["history"])
    assert best == pytest.approx(error.item(), rel=1e-4)


def test_rows_tell_losses_and_rate() -> None:
    row = train(replace(RECIPE, epochs=1))[-1]["history"][0]
    assert row.keys() == {"variant", "epoch", "train_loss", "learning_rate", "validation_loss"}
    assert (row["variant"], row["epoch"], row["learning_rate"]) == ("seed0", 1, 1e-3)
