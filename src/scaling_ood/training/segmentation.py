"""Training of PSPNets as the released code does it, resumable after every epoch.

Stochastic gradient descent with polynomial decay, cross-entropy with deep supervision, no class weights
(semantic-segmentation-pytorch, which the paper's code builds on). The loss is taken where the batch has labels: at the
network's own stride as in the released code, or finer, see `SceneSets.label_stride`. Void pixels count nowhere, and
padding is void.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.images.scenes import ANOMALY, VOID
from scaling_ood.metrics import ConfusionMatrix
from scaling_ood.models.segmentation import PSPNet, Ragged, groups_of, upsample
from scaling_ood.training.confidence import Hints, confidence_loss, toss
from scaling_ood.training.resumable import BestEpoch, ResumableState, train_variants
from scaling_ood.training.sampling import Sampling
from scaling_ood.training.scenes import SceneError, SceneSets, TrainingBatch


@dataclass(frozen=True)
class SegmentationRecipe:
    """How to train a segmenter.

    Attributes:
        epochs: Each ends with a validation.
        batch_images: Scenes per step, at least 2.
        steps_per_epoch: None for one pass over the training scenes.
        learning_rate: Of the first step, for all layers.
        momentum: Of the gradient descent.
        power: Of the polynomial decay.
        weight_decay: On the weights of convolutions and linear layers only.
        auxiliary_weight: Of the auxiliary head's loss.
        images_per_scale: Scenes of a step that share a drawn scale; None: all. Batch norm sees all scenes of the step.
        best_epoch: Whether the epoch of the highest mIoU on the validation scenes is used, or the last.
        hints: Trains the confidence head; None for a network without.
        precision: `float32`, or `bf16` for automatic mixed precision.
    """

    epochs: int
    batch_images: int
    steps_per_epoch: int | None = None
    learning_rate: float = 0.02
    momentum: float = 0.9
    power: float = 0.9
    weight_decay: float = 1e-4
    auxiliary_weight: float = 0.4
    images_per_scale: int | None = None
    best_epoch: BestEpoch = "validation"
    hints: Hints | None = None
    precision: Literal["float32", "bf16"] = "float32"

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

        >>> recipe = SegmentationRecipe(1, 2)
        >>> recipe.rate(0.0), round(recipe.rate(0.5), 6), recipe.rate(1.0)
        (0.02, 0.010718, 0.0)
        """
        return float(self.learning_rate * (1 - progress) ** self.power)


def train_segmenters(
    build: Mapping[str, Callable[[], PSPNet]],
    sets: SceneSets,
    seeds: Mapping[str, int],
    recipe: SegmentationRecipe,
    device: torch.device,
    state: ResumableState | None = None,
) -> Iterator[ResumableState]:
    """Train one segmenter per variant; the recipe says which epoch is the best.

    Args:
        build: Variant to a function that builds its network, with its initial weights.
        sets: Training and validation scenes, and how they are prepared.
        seeds: Variant to the seed of its order, scales, flips, dropout and hints.
        recipe: How to train each.
        device: Where to.
        state: Where to go on; None starts from the beginning.

    Yields:
        The complete state after each epoch of each variant, see `ResumableState`. Rows of its history: `variant, epoch,
        train_loss, train_accuracy, learning_rate, validation_miou, validation_accuracy`, fractions; with hints also
        `hint_price, hint_weight`.

    Raises:
        SceneError: Labels beyond the network's classes, or none in the validation scenes.
        DivergedError: The loss is not a number any more.
    """
    begin = {
        name: partial(SegmentationTraining, function, sets, seeds[name], recipe, device)
        for name, function in build.items()
    }
    merit = (lambda row: row["validation_miou"]) if recipe.best_epoch == "validation" else None
    yield from train_variants(begin, recipe.epochs, merit, state)


class SegmentationTraining:
    """The training of one segmenter; see `scaling_ood.training.resumable.Training`."""

    def __init__(
        self,
        build: Callable[[], PSPNet],
        sets: SceneSets,
        seed: int,
        recipe: SegmentationRecipe,
        device: torch.device,
    ) -> None:
        """Build the network and its optimiser."""
        # Without it, PyTorch takes seconds for the gradient of one depthwise 5 x 5 convolution on a processor.
        self.module: nn.Module = build().to(device).to(memory_format=torch.channels_last)
        self.optimiser: torch.optim.Optimizer = torch.optim.SGD(
            parameter_groups(self.module, recipe.weight_decay), lr=recipe.learning_rate, momentum=recipe.momentum
        )
        self.extra = {"hint_weight": recipe.hints.budget.weight} if recipe.hints else {}
        self.sets, self.recipe, self.device = sets, recipe, device
        self.seed = seed
        self.sampling, self.groups = recipe.sampling(len(sets.train), seed)

    def epoch(self, number: int) -> dict[str, float]:
        """Train one epoch and validate."""
        batches = self.sets.training_batches(self.sampling, number)
        steps = len(batches) // self.groups
        sums: dict[str, float] = {}
        rate = 0.0
        self.module.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed((self.seed << 20) + number)
            for step, groups in enumerate(zip(*[iter(batches)] * self.groups, strict=True)):
                rate = self.recipe.rate((number + step / steps) / self.recipe.epochs)
                for quantity, value in self._step(groups, rate).items():
                    sums[quantity] = sums.get(quantity, 0.0) + value
        means = {quantity: value / steps for quantity, value in sums.items() if quantity not in _COUNTS}
        means["train_accuracy"] = sums["right"] / max(1.0, sums["counted"])
        confusion = validate(self.module, self.sets, self.device, self.recipe.precision)
        return {
            **means,
            **self.extra,
            "learning_rate": rate,
            "validation_miou": confusion.mean_iou(),
            "validation_accuracy": confusion.pixel_accuracy(),
        }

    def _step(self, batches: Sequence[TrainingBatch], rate: float) -> dict[str, float]:
        """One step of the optimiser, on batches of one scale each; their losses count alike, as those of GPUs do."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            images = [self._input(batch.pixels) for batch in batches]
            outputs = self.module(images[0] if len(images) == 1 else Ragged(images))
        losses, shown = [], []
        for place, batch in enumerate(batches):
            loss, numbers = self._loss(
                {name: groups_of(maps)[place] for name, maps in outputs.items()},
                batch.labels.to(self.device).long(),  # (N, h, w)
            )
            losses.append(loss)
            shown.append(numbers)
        loss = torch.stack(losses).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        sums = {quantity: sum(numbers[quantity] for numbers in shown) for quantity in shown[0]}
        means = {name: value / len(shown) for name, value in sums.items() if name not in _COUNTS}
        if self.recipe.hints is not None:
            after = self.recipe.hints.budget.after(means["hint_price"], self.extra["hint_weight"])
            self.extra = {"hint_weight": after}
        return {**sums, **means}

    def _input(self, pixels: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.sets.preprocessing.normalise(pixels.to(self.device))
        return images.contiguous(memory_format=torch.channels_last)

    def _loss(self, outputs: dict[str, torch.Tensor], labels: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of one batch, and what is told of it."""
        outputs = {name: at_size(maps, labels.shape[1:]) for name, maps in outputs.items()}
        logits, hints = outputs["logits"], self.recipe.hints
        refuse_labels_beyond(labels, logits.shape[1])
        shown: dict[str, float] = {}
        if hints is None:
            loss = pixel_cross_entropy(logits, labels)
        else:
            coins, weight = toss(labels, hints.unit), self.extra["hint_weight"]
            told = confidence_loss(logits, outputs["confidence"], labels, coins, weight, void=VOID)
            loss, shown = told.total, {"hint_price": told.price.item()}
        loss = loss + self.recipe.auxiliary_weight * pixel_cross_entropy(outputs["auxiliary"], labels)
        counted = labels != VOID
        right = (logits.argmax(dim=1) == labels) & counted
        return loss, {"train_loss": loss.item(), "right": right.sum().item(), "counted": counted.sum().item(), **shown}


_COUNTS = ("right", "counted")


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


@torch.inference_mode()
def validate(
    module: nn.Module, sets: SceneSets, device: torch.device, precision: Literal["float32", "bf16"] = "float32"
) -> ConfusionMatrix:
    """Confusion over the validation scenes, at their labels' own size.

    Raises:
        SceneError: Labels beyond the network's classes, or no pixel that counts.
    """
    module.eval()
    confusion: ConfusionMatrix | None = None
    for scene in sets.validation_scenes():
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = module(sets.preprocessing.normalise(scene.pixels.to(device)))["logits"]
        refuse_labels_beyond(scene.labels, logits.shape[1])
        confusion = confusion or ConfusionMatrix(logits.shape[1])
        predicted = upsample(logits, scene.labels.shape).argmax(dim=1)[0]  # (H, W)
        confusion.add(predicted.cpu().numpy(), scene.labels.numpy(), (scene.labels != VOID).numpy())
    if confusion is None or not confusion.counts.any():
        raise SceneError("no pixel of the validation scenes has a class: the best epoch cannot be chosen")
    return confusion
