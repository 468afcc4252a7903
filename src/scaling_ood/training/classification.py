"""Training of classifiers, of their heads, and of those that learn a second task beside the classes.

AdamW with a one-cycle cosine schedule. There is no validation: the last epoch is used.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models.heads import Second
from scaling_ood.training.images import TrainingImages
from scaling_ood.training.loop import Lesson, Recipe, Step
from scaling_ood.training.ranks import ALONE, Ranks, Share


class Loss(NamedTuple):
    """What an objective makes of a batch.

    Attributes:
        total: Scalar that is minimised, a mean over the images.
        shown: Further means over the images, for the history.
    """

    total: torch.Tensor
    shown: Mapping[str, float] = {}


class Objective(ABC):
    """What the training of a classifier minimises.

    Attributes:
        second: What its `ClassHead` must give beside the classes.
    """

    second: ClassVar[Second] = ""

    @property
    def extra(self) -> dict[str, float]:
        """Numbers that change from step to step, as they are at the start of a training."""
        return {}

    @abstractmethod
    def loss(self, outputs: Mapping[str, torch.Tensor], targets: torch.Tensor, extra: Mapping[str, float]) -> Loss:
        """The loss of a batch.

        Args:
            outputs: What the network gave for what `TrainingImages.batch` gave.
            targets: (N,) class indices.
            extra: As they are before this step.
        """

    def after(self, extra: Mapping[str, float], means: Mapping[str, float]) -> Mapping[str, float]:  # noqa: ARG002
        """New values of `extra`, after a step of which this was shown, by all processes."""
        return {}


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Of the classes.

    Attributes:
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
    """

    label_smoothing: float = 0.0

    def loss(self, outputs: Mapping[str, torch.Tensor], targets: torch.Tensor, extra: Mapping[str, float]) -> Loss:  # noqa: ARG002
        """The loss of a batch, see `Objective`."""
        return Loss(functional.cross_entropy(outputs["logits"].float(), targets, label_smoothing=self.label_smoothing))


@dataclass(frozen=True, kw_only=True)
class ClassificationRecipe(Recipe):
    """How to train a classifier: the peak of the learning rate is reached after a tenth of the steps.

    Attributes:
        weight_decay: Decoupled; on weights (two dimensions or more) only.
    """

    weight_decay: float

    def rate(self, progress: float) -> float:
        """Learning rate at a point of the training, 0 = start, 1 = end.

        >>> recipe = ClassificationRecipe(epochs=1, batch_images=1, learning_rate=0.5, weight_decay=0.0)
        >>> recipe.rate(0.0), recipe.rate(0.1), round(recipe.rate(1.0), 9)
        (0.0, 0.5, 0.0)
        """
        warm_up = 0.1
        if progress < warm_up:
            return self.learning_rate * progress / warm_up
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


@dataclass(frozen=True)
class Classification(Lesson[tuple[torch.Tensor, torch.Tensor]]):
    """The training of an `ImageNetwork` with a `ClassHead`, or of such a head on cached features.

    Rows of its history: `variant, epoch, train_loss, train_accuracy, learning_rate` and the objective's numbers.

    Attributes:
        images: What it is trained on.
        targets: (N,) int64 class indices of all images.
        recipe: How to train.
        device: Where to.
        objective: What is minimised.
    """

    images: TrainingImages
    targets: torch.Tensor
    recipe: ClassificationRecipe
    device: torch.device
    objective: Objective = field(default_factory=CrossEntropy)
    channels_last: ClassVar[bool] = False

    @property
    def extra(self) -> dict[str, float]:
        """The objective's."""
        return self.objective.extra

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW; see `ClassificationRecipe`."""
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.recipe.learning_rate)

    def batches(self, seed: int, epoch: int, share: Share = ALONE.share) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and targets of each step: all images once, the last step may see fewer."""
        generator = torch.Generator().manual_seed((seed << 20) + epoch)
        order = torch.randperm(len(self.images), generator=generator)
        for indices in order.split(self.recipe.batch_images):  # type: ignore[no-untyped-call]
            own = share.of(len(indices))
            targets = self.targets[indices[own]]
            # Where there is no image, one tells the shape of none.
            inputs = self.images.batch(indices, generator, own if len(targets) else slice(1))
            yield inputs if len(targets) else inputs[:0], targets.to(inputs.device)

    def rate(self, epoch: int, step: int) -> float:
        """That of the middle of the step."""
        steps = math.ceil(len(self.images) / self.recipe.batch_images)
        return self.recipe.rate((epoch + (step + 0.5) / steps) / self.recipe.epochs)

    def step(
        self,
        module: nn.Module,
        batch: tuple[torch.Tensor, torch.Tensor],
        extra: Mapping[str, float],
        ranks: Ranks = ALONE,
    ) -> Step:
        """The objective's loss of a batch."""
        inputs, targets = batch
        (weight,) = ranks.weights([len(targets)])
        outputs = self.outputs(module, inputs)
        loss = self.objective.loss(outputs, targets, extra)
        images = len(targets)
        means = {"train_loss": loss.total.item(), **loss.shown}
        right = int((outputs["logits"][:images].argmax(dim=1) == targets).sum())
        shown = {quantity: (mean * images, images) for quantity, mean in means.items()}
        return Step(weight * loss.total, {**shown, "train_accuracy": (right, images)})

    def after(self, extra: Mapping[str, float], means: Mapping[str, float]) -> Mapping[str, float]:
        """The objective's."""
        return self.objective.after(extra, means)

    def measure(self, module: nn.Module, epoch: int) -> dict[str, float]:  # noqa: ARG002
        """The learning rate that the epoch ends with."""
        return {"learning_rate": self.recipe.rate((epoch + 1) / self.recipe.epochs)}
