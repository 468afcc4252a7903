"""Training of PSPNets as the released code does it.

Stochastic gradient descent with polynomial decay, cross-entropy with deep supervision, no class weights
(semantic-segmentation-pytorch, which the paper's code builds on). The loss is taken where the batch has labels: at the
network's own stride as in the released code, or finer, see `SceneSets.label_stride`. Void pixels count nowhere, and
padding is void.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.images.scenes import ANOMALY, VOID
from scaling_ood.metrics import ConfusionMatrix
from scaling_ood.models.segmentation import Ragged, groups_of
from scaling_ood.models.upsampling import upsample
from scaling_ood.training.confidence import Hints, confidence_loss, toss
from scaling_ood.training.loop import BestEpoch, Lesson, Merit, Recipe, Step
from scaling_ood.training.ranks import ALONE, Ranks, Share
from scaling_ood.training.sampling import Sampling
from scaling_ood.training.scenes import SceneError, SceneSets, TrainingBatch


@dataclass(frozen=True, kw_only=True)
class SegmentationRecipe(Recipe):
    """How to train a segmenter.

    Attributes:
        epochs: Each ends with a validation.
        batch_images: Scenes per step, at least 2.
        learning_rate: Of the first step, for all layers.
        steps_per_epoch: None for one pass over the training scenes.
        momentum: Of the gradient descent.
        power: Of the polynomial decay.
        weight_decay: On the weights of convolutions and linear layers only.
        auxiliary_weight: Of the auxiliary head's loss.
        images_per_scale: Scenes of a step that share a drawn scale; None: all. Batch norm sees all scenes of the step.
        best_epoch: Whether the epoch of the highest mIoU on the validation scenes is used, or the last.
        hints: Trains the confidence head; None for a network without.
    """

    learning_rate: float = 0.02
    steps_per_epoch: int | None = None
    momentum: float = 0.9
    power: float = 0.9
    weight_decay: float = 1e-4
    auxiliary_weight: float = 0.4
    images_per_scale: int | None = None
    best_epoch: BestEpoch = "validation"
    hints: Hints | None = None

    def __post_init__(self) -> None:
        """Refuse scales that do not come out even."""
        if self.images_per_scale and self.batch_images % self.images_per_scale:
            raise ValueError(
                f"a step of {self.batch_images} scenes cannot be cut into groups of {self.images_per_scale} "
                "(images_per_scale)"
            )

    def sampling(self, scenes: int, seed: int) -> tuple[Sampling, int]:
        """How training scenes are cut into batches of one scale each, and how many of these make a step."""
        whole = Sampling(self.batch_images, seed, self.steps_per_epoch)
        if self.images_per_scale is None:
            return whole, 1
        groups = self.batch_images // self.images_per_scale
        return Sampling(self.images_per_scale, seed, whole.per_epoch(scenes) * groups), groups

    def rate(self, progress: float) -> float:
        """Learning rate at a point of the training, 0 = first step, 1 = behind the last.

        >>> recipe = SegmentationRecipe(epochs=1, batch_images=2)
        >>> recipe.rate(0.0), round(recipe.rate(0.5), 6), recipe.rate(1.0)
        (0.02, 0.010718, 0.0)
        """
        return float(self.learning_rate * (1 - progress) ** self.power)


@dataclass(frozen=True)
class Segmentation(Lesson[Sequence[TrainingBatch]]):
    """The training of a `PSPNet`; the recipe says which epoch is the best.

    Rows of its history: `variant, epoch, train_loss, train_accuracy, learning_rate, validation_miou,
    validation_accuracy`, fractions; with hints also `hint_price, hint_weight`.

    Attributes:
        sets: Training and validation scenes, and how they are prepared.
        recipe: How to train.
        device: Where to.
    """

    sets: SceneSets
    recipe: SegmentationRecipe
    device: torch.device

    @property
    def extra(self) -> dict[str, float]:
        """The weight of the price of hints, at its start."""
        return {"hint_weight": self.recipe.hints.budget.weight} if self.recipe.hints else {}

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """Stochastic gradient descent with momentum."""
        groups = parameter_groups(module, self.recipe.weight_decay)
        return torch.optim.SGD(groups, lr=self.recipe.learning_rate, momentum=self.recipe.momentum)

    def batches(self, seed: int, epoch: int, share: Share = ALONE.share) -> Iterable[Sequence[TrainingBatch]]:
        """The training scenes of each step, in batches of one scale each."""
        sampling, groups = self.recipe.sampling(len(self.sets.train), seed)
        return zip(*[iter(self.sets.training_batches(sampling, epoch, share, groups))] * groups, strict=True)

    def rate(self, epoch: int, step: int) -> float:
        """That of the beginning of the step."""
        sampling, groups = self.recipe.sampling(len(self.sets.train), seed=0)
        steps = sampling.per_epoch(len(self.sets.train)) // groups
        return self.recipe.rate((epoch + step / steps) / self.recipe.epochs)

    def step(
        self,
        module: nn.Module,
        batch: Sequence[TrainingBatch],
        extra: Mapping[str, float],
        ranks: Ranks = ALONE,
    ) -> Step:
        """The loss of a step; those of batches of one scale each count alike, as those of the authors' GPUs do.

        Raises:
            SceneError: Labels beyond the network's classes.
        """
        weights = ranks.weights([int((group.labels != VOID).sum()) for group in batch])
        batch = self.sets.of_one_size(batch, ranks)
        images = [self._input(group.pixels) for group in batch]
        outputs = self.outputs(module, images[0] if len(images) == 1 else Ragged(images))
        losses = []
        for place, (group, weight) in enumerate(zip(batch, weights, strict=True)):
            own = {name: groups_of(maps)[place] for name, maps in outputs.items()}
            losses.append(self._loss(own, group.labels.to(self.device).long(), extra, weight))
        shown = {"train_loss": (sum(loss.total.item() for loss in losses) / len(losses), 1.0)}
        if self.recipe.hints is not None:
            shown["hint_price"] = sum(loss.price for loss in losses) / len(losses), 1.0
        shown["train_accuracy"] = sum(loss.right for loss in losses), sum(loss.counted for loss in losses)
        return Step(torch.stack([loss.total for loss in losses]).mean(), shown)

    def after(self, extra: Mapping[str, float], means: Mapping[str, float]) -> Mapping[str, float]:
        """The weight of the price of hints, steered by the price."""
        hints = self.recipe.hints
        return {"hint_weight": hints.budget.after(means["hint_price"], extra["hint_weight"])} if hints else {}

    def measure(self, module: nn.Module, epoch: int) -> dict[str, float]:  # noqa: ARG002
        """Quality at the size of the validation scenes' labels.

        Raises:
            SceneError: Labels beyond the network's classes, or no pixel that counts.
        """
        confusion: ConfusionMatrix | None = None
        for scene in self.sets.validation_scenes():
            logits = self.outputs(module, self.sets.preprocessing.normalise(scene.pixels.to(self.device)))["logits"]
            refuse_labels_beyond(scene.labels, logits.shape[1])
            confusion = confusion or ConfusionMatrix(logits.shape[1])
            predicted = upsample(logits, scene.labels.shape).argmax(dim=1)[0]  # (H, W)
            confusion.add(predicted.cpu().numpy(), scene.labels.numpy(), (scene.labels != VOID).numpy())
        if confusion is None or not confusion.counts.any():
            raise SceneError("no pixel of the validation scenes has a class: the best epoch cannot be chosen")
        return {"validation_miou": confusion.mean_iou(), "validation_accuracy": confusion.pixel_accuracy()}

    @property
    def merit(self) -> Merit | None:
        """The mIoU, if the recipe says so."""
        return (lambda row: row["validation_miou"]) if self.recipe.best_epoch == "validation" else None

    def _input(self, pixels: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.sets.preprocessing.normalise(pixels.to(self.device))
        return images.contiguous(memory_format=torch.channels_last)

    def _loss(
        self, outputs: dict[str, torch.Tensor], labels: torch.Tensor, extra: Mapping[str, float], share: float
    ) -> _GroupLoss:
        """The loss of scenes of one scale, whose labels are (N, h, w); means are multiplied by `share`."""
        outputs = {name: at_size(maps, labels.shape[1:]) for name, maps in outputs.items()}
        logits, hints = outputs["logits"], self.recipe.hints
        refuse_labels_beyond(labels, logits.shape[1])
        price = 0.0
        if hints is None:
            loss = pixel_cross_entropy(logits, labels)
        else:
            coins, weight = toss(labels, hints.unit), extra["hint_weight"]
            told = confidence_loss(logits, outputs["confidence"], labels, coins, weight, void=VOID)
            loss, price = told.total, told.price.item()
        loss = loss + self.recipe.auxiliary_weight * pixel_cross_entropy(outputs["auxiliary"], labels)
        counted = labels != VOID
        right = (logits.argmax(dim=1) == labels) & counted
        return _GroupLoss(share * loss, share * price, int(right.sum()), int(counted.sum()))


class _GroupLoss(NamedTuple):
    """Loss, mean price of hints, pixels that are right, and pixels that count."""

    total: torch.Tensor
    price: float
    right: int
    counted: int


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters in two groups: weights of convolutions and linear layers, which decay, and others, which do not."""
    layers = [part for part in module.modules() if isinstance(part, nn.Linear | nn.modules.conv._ConvNd)]
    decayed = {id(layer.weight) for layer in layers}
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if id(p) in decayed], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
    ]


def pixel_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over the pixels that are not void; 0 where all are.

    Args:
        logits: (N, C, h, w).
        labels: (N, h, w) train ids with `VOID`.
    """
    total = functional.cross_entropy(logits.float(), labels, ignore_index=VOID, reduction="sum")
    return total / (labels != VOID).sum().clamp(min=1)


def at_size(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Maps (N, C, h, w) or (N, h, w), up-sampled to (H, W); those of that size stay what they are."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return upsample(maps, size) if maps.ndim == 4 else upsample(maps.unsqueeze(1), size).squeeze(1)  # noqa: PLR2004


def refuse_labels_beyond(labels: torch.Tensor, classes: int) -> None:
    """Raise a `SceneError` for train ids that the network has no class for."""
    beyond = labels[(labels != VOID) & (labels >= classes)]
    if len(beyond):
        raise SceneError(
            f"train ids {sorted(set(beyond.tolist()))} in a training or validation scene, but the network has "
            f"{classes} classes ({ANOMALY} marks anomalies, which are never trained on)"
        )
