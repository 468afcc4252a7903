"""Training of the spatial autoencoder on in-distribution scenes, resumable after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from scaling_ood.models.segmentation import Difference, SpatialAutoencoder, reconstruction_error
from scaling_ood.training.resumable import ResumableState, train_variants
from scaling_ood.training.sampling import Sampling
from scaling_ood.training.scenes import SceneSets


@dataclass(frozen=True)
class ReconstructionRecipe:
    """How to train an autoencoder: Adam at a constant rate (Baur et al. 2019; the paper states ten epochs).

    Attributes:
        epochs: Each ends with a validation.
        batch_images: Scenes per step, at least 2.
        steps_per_epoch: None for one pass over the training scenes.
        learning_rate: Of every step.
        difference: What is minimised, and measured at test time.
    """

    epochs: int = 10
    batch_images: int = 8
    steps_per_epoch: int | None = None
    learning_rate: float = 1e-4
    difference: Difference = "l1"


def train_autoencoders(
    build: Mapping[str, Callable[[], SpatialAutoencoder]],
    sets: SceneSets,
    seeds: Mapping[str, int],
    recipe: ReconstructionRecipe,
    device: torch.device,
    state: ResumableState | None = None,
) -> Iterator[ResumableState]:
    """Train one autoencoder per variant; the best epoch is that of the smallest error on the validation scenes.

    Args:
        build: Variant to a function that builds its network, with its initial weights.
        sets: Training and validation scenes, and how they are prepared; their labels are not looked at.
        seeds: Variant to the seed of its order, scales, flips and dropout.
        recipe: How to train each.
        device: Where to.
        state: Where to go on; None starts from the beginning.

    Yields:
        The complete state after each epoch of each variant, see `ResumableState`. Rows of its history: `variant, epoch,
        train_loss, learning_rate, validation_loss`, mean errors per pixel in units of the normalised input.

    Raises:
        DivergedError: The loss is not a number any more.
    """
    begin = {
        name: partial(ReconstructionTraining, function, sets, seeds[name], recipe, device)
        for name, function in build.items()
    }
    yield from train_variants(begin, recipe.epochs, lambda row: -row["validation_loss"], state)


class ReconstructionTraining:
    """The training of one autoencoder; see `scaling_ood.training.resumable.Training`."""

    def __init__(
        self,
        build: Callable[[], SpatialAutoencoder],
        sets: SceneSets,
        seed: int,
        recipe: ReconstructionRecipe,
        device: torch.device,
    ) -> None:
        """Build the network and its optimiser."""
        self.module: nn.Module = build().to(device)
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(self.module.parameters(), lr=recipe.learning_rate)
        self.extra: dict[str, float] = {}
        self.sets, self.recipe, self.device = sets, recipe, device
        self.seed = seed
        self.sampling = Sampling(recipe.batch_images, seed, recipe.steps_per_epoch)

    def epoch(self, number: int) -> dict[str, float]:
        """Train one epoch and validate."""
        batches = self.sets.training_batches(self.sampling, number)
        total = 0.0
        self.module.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed((self.seed << 20) + number)
            for batch in batches:
                loss = self._error(batch.pixels)
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                self.optimiser.step()
                total += loss.item()
        return {
            "train_loss": total / len(batches),
            "learning_rate": self.recipe.learning_rate,
            "validation_loss": self._validate(),
        }

    def _error(self, pixels: torch.Tensor) -> torch.Tensor:
        images = self.sets.preprocessing.normalise(pixels.to(self.device))
        return reconstruction_error(images, self.module(images), self.recipe.difference).mean()

    @torch.inference_mode()
    def _validate(self) -> float:
        self.module.eval()
        errors = [self._error(scene.pixels).item() for scene in self.sets.validation_scenes()]
        return sum(errors) / len(errors)
