"""Training of one or more classifiers, one after the other, resumable after every epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models.forward import exact_float32
from scaling_ood.training.resumable import refuse_divergence

TrainingState = dict[str, Any]
"""Everything that a resumed training needs, of tensors, numbers, strings, lists and dicts only:

- `models`: variant to state dict, of the finished variants and the current one;
- `current`: name of the variant that was trained last, `epoch`: how many of its epochs are done;
- `optimiser`: the current optimiser's state dict, `extra`: the current objective's numbers;
- `history`: one row per epoch, `variant, epoch, train_loss, train_accuracy, learning_rate` and the objective's numbers.
"""


class TrainingImages(Protocol):
    """What a module is trained on: images, or cached features of images."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def batch(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The module's input for these images, (N, ...) or several each, on the module's device.

        Args:
            indices: (N,) int64.
            generator: Source of chance for augmentation.
        """
        ...


class Step(NamedTuple):
    """What one step of a training comes to.

    Attributes:
        loss: Scalar that is minimised, a mean over the images.
        logits: (N, C) of the classes.
        shown: Further means over the images, for the history.
    """

    loss: torch.Tensor
    logits: torch.Tensor
    shown: Mapping[str, float]


class Objective(Protocol):
    """What a training minimises.

    Attributes:
        extra: Numbers that change from step to step; shown in the history, and part of the state.
    """

    extra: dict[str, float]

    def __call__(self, module: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> Step:
        """The loss of a batch.

        Args:
            module: In training mode.
            inputs: What `TrainingImages.batch` gave.
            labels: (N,) class indices, on the module's device.
        """
        ...


@dataclass
class CrossEntropy:
    """Of the classes, with smoothed labels."""

    label_smoothing: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)

    def __call__(self, module: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> Step:
        """The loss of a batch, see `Objective`."""
        logits = module(inputs)
        return Step(functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing), logits, {})


@dataclass(frozen=True)
class Recipe:
    """How to train: AdamW with a one-cycle cosine schedule.

    Attributes:
        epochs: Passes over the images.
        batch_images: Images per step.
        learning_rate: Peak, reached after a tenth of the steps.
        weight_decay: Decoupled; on weights (two dimensions or more) only.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
    """

    epochs: int
    batch_images: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float = 0.0

    def rate(self, progress: float) -> float:
        """Learning rate at a point of the training, 0 = start, 1 = end.

        >>> recipe = Recipe(1, 1, 0.5, 0.0)
        >>> recipe.rate(0.0), recipe.rate(0.1), round(recipe.rate(1.0), 9)
        (0.0, 0.5, 0.0)
        """
        warm_up = 0.1
        if progress < warm_up:
            return self.learning_rate * progress / warm_up
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def train_classifiers(
    build: Mapping[str, Callable[[], nn.Module]],
    images: TrainingImages,
    labels: Mapping[str, torch.Tensor],
    seeds: Mapping[str, int],
    recipe: Recipe,
    state: TrainingState | None = None,
    objective: Callable[[], Objective] | None = None,
) -> Iterator[TrainingState]:
    """Train one classifier per variant, on the same images.

    The order of the images, augmentation and dropout of an epoch depend on the variant's seed and the epoch alone, so a
    training that goes on from a state equals one that was never interrupted.

    Args:
        build: Variant to a function that builds its module, with its initial weights, on its device.
        images: What all of them are trained on.
        labels: Variant to (N,) int64 class indices.
        seeds: Variant to its seed.
        recipe: How to train each.
        state: Where to go on; None starts from the beginning.
        objective: Begins what each variant minimises; by default the cross-entropy with the recipe's smoothing.

    Yields:
        The complete state after each epoch of each variant; the last one holds all trained models.

    Raises:
        DivergedError: A number of an epoch, or a weight after it, is infinite or NaN.
    """
    exact_float32()
    state = state or {"models": {}, "current": "", "epoch": 0, "optimiser": {}, "extra": {}, "history": []}
    names = list(build)
    first = names.index(state["current"]) if state["current"] else 0
    for name in names[first:]:
        module = build[name]()
        optimiser = _optimiser(module, recipe)
        minimised = objective() if objective else CrossEntropy(recipe.label_smoothing)
        done = 0
        if name == state["current"]:
            module.load_state_dict(state["models"][name])
            optimiser.load_state_dict(state["optimiser"])
            minimised.extra = dict(state.get("extra", minimised.extra))
            done = state["epoch"]
        for epoch in range(done, recipe.epochs):
            row = _epoch(module, optimiser, minimised, images, labels[name], recipe, epoch, seeds[name])
            weights = _on_cpu(module.state_dict())
            refuse_divergence(name, epoch, row, weights)
            state = {
                "models": {**state["models"], name: weights},
                "current": name,
                "epoch": epoch + 1,
                "optimiser": copy.deepcopy(optimiser.state_dict()),
                "extra": dict(minimised.extra),
                "history": [*state["history"], {"variant": name, "epoch": epoch + 1, **row}],
            }
            yield state


def _optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _epoch(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    objective: Objective,
    images: TrainingImages,
    labels: torch.Tensor,
    recipe: Recipe,
    epoch: int,
    seed: int,
) -> dict[str, float]:
    generator = torch.Generator().manual_seed((seed << 20) + epoch)
    order: Sequence[torch.Tensor] = torch.randperm(len(images), generator=generator).split(recipe.batch_images)  # type: ignore[no-untyped-call]
    module.train()
    sums: dict[str, float] = {}
    right = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((seed << 20) + epoch)
        for step, indices in enumerate(order):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate((epoch + (step + 0.5) / len(order)) / recipe.epochs)
            inputs = images.batch(indices, generator)
            targets = labels[indices].to(inputs.device)
            taken = objective(module, inputs, targets)
            optimiser.zero_grad(set_to_none=True)
            taken.loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            for quantity, value in {"train_loss": taken.loss.item(), **taken.shown}.items():
                sums[quantity] = sums.get(quantity, 0.0) + value * len(indices)
            right += int((taken.logits.argmax(dim=1) == targets).sum())
    return {
        **{quantity: total / len(images) for quantity, total in sums.items()},
        "train_accuracy": right / len(images),
        **objective.extra,
        "learning_rate": recipe.rate((epoch + 1) / recipe.epochs),
    }


def _on_cpu(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
