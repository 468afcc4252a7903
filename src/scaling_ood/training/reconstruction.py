"""Training of the spatial autoencoder on in-distribution scenes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from scaling_ood.training.loop import Lesson, Merit, Recipe, Step
from scaling_ood.training.ranks import ALONE, Ranks, Share
from scaling_ood.training.sampling import Sampling
from scaling_ood.training.scenes import SceneSets, TrainingBatch


@dataclass(frozen=True, kw_only=True)
class ReconstructionRecipe(Recipe):
    """How to train an autoencoder: Adam at a constant rate (Baur et al. 2019; the paper states ten epochs).

    Attributes:
        epochs: Each ends with a validation.
        batch_images: Scenes per step, at least 2.
        learning_rate: Of every step.
        steps_per_epoch: None for one pass over the training scenes.
    """

    epochs: int = 10
    batch_images: int = 8
    learning_rate: float = 1e-4
    steps_per_epoch: int | None = None


@dataclass(frozen=True)
class Reconstruction(Lesson[TrainingBatch]):
    """The training of a `SpatialAutoencoder`; the best epoch is that of the smallest error on the validation scenes.

    Rows of its history: `variant, epoch, train_loss, learning_rate, validation_loss`, mean errors per pixel in units of
    the normalised input.

    Attributes:
        sets: Training and validation scenes, and how they are prepared; their labels are not looked at.
        recipe: How to train.
        device: Where to.
    """

    sets: SceneSets
    recipe: ReconstructionRecipe
    device: torch.device
    channels_last: ClassVar[bool] = False

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(module.parameters(), lr=self.recipe.learning_rate)

    def batches(self, seed: int, epoch: int, share: Share = ALONE.share) -> Iterable[TrainingBatch]:
        """The training scenes of each step."""
        sampling = Sampling(self.recipe.batch_images, seed, self.recipe.steps_per_epoch)
        return self.sets.training_batches(sampling, epoch, share)

    def step(
        self,
        module: nn.Module,
        batch: TrainingBatch,
        extra: Mapping[str, float],  # noqa: ARG002
        ranks: Ranks = ALONE,
    ) -> Step:
        """The error of a batch, its mean over all pixels."""
        (scenes,), (weight,) = self.sets.of_one_size([batch], ranks), ranks.weights([len(batch.pixels)])
        loss = self._error(module, scenes.pixels)
        return Step(weight * loss, {"train_loss": (weight * loss.item(), weight)})

    def measure(self, module: nn.Module, epoch: int) -> dict[str, float]:  # noqa: ARG002
        """The error of the validation scenes, their mean."""
        errors = [self._error(module, scene.pixels).item() for scene in self.sets.validation_scenes()]
        return {"validation_loss": sum(errors) / len(errors)}

    @property
    def merit(self) -> Merit:
        """The smaller the error, the better."""
        return lambda row: -row["validation_loss"]

    def _error(self, module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        images = self.sets.preprocessing.normalise(pixels.to(self.device))
        return self.outputs(module, images)["reconstruction_error"].mean()
