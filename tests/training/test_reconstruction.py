"""Training of the autoencoder: it learns to reconstruct, and tells errors per pixel."""

from functools import partial

import pytest
import torch
from scene_toys import HALF, Rectangles

from scaling_ood.models.segmentation import build_autoencoder, reconstruction_error
from scaling_ood.training.reconstruction import Reconstruction, ReconstructionRecipe
from scaling_ood.training.scenes import Augmentation, SceneSets

CPU = torch.device("cpu")
SETS = SceneSets(Rectangles(4), Rectangles(2, seed=1), HALF, Augmentation(flips=0.5))


@pytest.mark.parametrize("difference", ["l1", "l2"])
def test_a_few_steps_reconstruct_better_than_the_mean(difference: str) -> None:
    recipe = ReconstructionRecipe(epochs=2, batch_images=4, steps_per_epoch=20, learning_rate=3e-3)
    build = partial(build_autoencoder, seed=0, difference=difference)
    state = list(Reconstruction(SETS, recipe, CPU).train({"seed0": build}, {"seed0": 0}))[-1]
    model = build().eval()
    model.load_state_dict(state["models"]["seed0.best"])
    pixels = torch.cat([scene.pixels for scene in SETS.validation_scenes()])
    images = HALF.normalise(pixels)
    with torch.inference_mode():
        error = model(images)["reconstruction_error"].mean()
    blank = reconstruction_error(images, images.mean(dim=(2, 3), keepdim=True).expand_as(images), difference).mean()
    assert error < 0.6 * blank
    best = min(row["validation_loss"] for row in state["history"])
    assert best == pytest.approx(error.item(), rel=1e-4)


def test_rows_tell_losses_and_rate() -> None:
    recipe = ReconstructionRecipe(epochs=3, batch_images=2, learning_rate=1e-3)
    row = Reconstruction(SETS, recipe, CPU).begin(partial(build_autoencoder, seed=0), 0).epoch(0)
    assert row.keys() == {"train_loss", "learning_rate", "validation_loss"}
    assert row["learning_rate"] == 1e-3
