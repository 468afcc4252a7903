"""Training of multi-label networks as in the paper (section 4), resumable after every epoch.

Binary cross-entropy of each class, Adam at two constant rates: the paper calls them beta 1 and beta 2, its released
code shows that 1e-4 is the head's learning rate and 1e-5 the backbone's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.metrics import AveragingRule, mean_average_precision
from scaling_ood.models import MultiLabelClassifier
from scaling_ood.training.multilabel_sets import MultiLabelBatch, MultiLabelSets, MultiLabelSource
from scaling_ood.training.resumable import BestEpoch, ResumableState, train_variants
from scaling_ood.training.sampling import Sampling


@dataclass(frozen=True)
class MultiLabelRecipe:
    """How to train a multi-label network, or its head.

    Attributes:
        epochs: Each ends with a validation.
        batch_images: Images per step, at least 2.
        steps_per_epoch: None for one pass over the training images.
        learning_rate: Of the head.
        backbone_learning_rate: Of the backbone, where it is trained.
        averaging: How precision is averaged for the mAP that the best epoch is chosen by.
        best_epoch: Whether the epoch of the highest mAP on the validation images is used, or the last.
        precision: `float32`, or `bf16` for automatic mixed precision.
    """

    epochs: int = 50
    batch_images: int = 40
    steps_per_epoch: int | None = None
    learning_rate: float = 1e-4
    backbone_learning_rate: float = 1e-5
    averaging: AveragingRule = "step"
    best_epoch: BestEpoch = "validation"
    precision: Literal["float32", "bf16"] = "float32"


def train_multilabel(
    build: Mapping[str, Callable[[], nn.Module]],
    sets: MultiLabelSets,
    seeds: Mapping[str, int],
    recipe: MultiLabelRecipe,
    device: torch.device,
    state: ResumableState | None = None,
) -> Iterator[ResumableState]:
    """Train one network per variant; the recipe says which epoch is the best.

    Args:
        build: Variant to a function that builds its module, with its initial weights: `build_multilabel` for
            `LabelledPhotographs`, `build_multilabel_head` for `LabelledFeatures`.
        sets: Training and validation images.
        seeds: Variant to the seed of its order, crops, flips and dropout.
        recipe: How to train each.
        device: Where to.
        state: Where to go on; None starts from the beginning.

    Yields:
        The complete state after each epoch of each variant, see `ResumableState`. Rows of its history: `variant, epoch,
        train_loss, learning_rate, validation_loss, validation_map`; losses are in nats per image and class, the mAP a
        fraction.

    Raises:
        DivergedError: The loss is not a number any more.
    """
    begin = {
        name: partial(MultiLabelTraining, function, sets, seeds[name], recipe, device)
        for name, function in build.items()
    }
    merit = (lambda row: row["validation_map"]) if recipe.best_epoch == "validation" else None
    yield from train_variants(begin, recipe.epochs, merit, state)


class MultiLabelTraining:
    """The training of one network; see `scaling_ood.training.resumable.Training`."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        sets: MultiLabelSets,
        seed: int,
        recipe: MultiLabelRecipe,
        device: torch.device,
    ) -> None:
        """Build the module and its optimiser."""
        # Without it, PyTorch takes seconds for the gradient of one depthwise 5 x 5 convolution on a processor.
        self.module: nn.Module = build().to(device).to(memory_format=torch.channels_last)
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(rate_groups(self.module, recipe))
        self.extra: dict[str, float] = {}
        self.sets, self.recipe, self.device = sets, recipe, device
        self.seed = seed
        self.sampling = Sampling(recipe.batch_images, seed, recipe.steps_per_epoch)

    def epoch(self, number: int) -> dict[str, float]:
        """Train one epoch and validate."""
        losses = []
        self.module.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed((self.seed << 20) + number)
            for batch in self.sets.train.training_batches(self.sampling, number):
                losses.append(self._step(batch))
        validation_loss, validation_map = self._validate()
        return {
            "train_loss": sum(losses) / len(losses),
            "learning_rate": self.recipe.learning_rate,
            "validation_loss": validation_loss,
            "validation_map": validation_map,
        }

    def _step(self, batch: MultiLabelBatch) -> float:
        logits = self._logits(self.sets.train, batch.inputs)
        loss = functional.binary_cross_entropy_with_logits(logits, batch.targets.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss.item()

    def _logits(self, source: MultiLabelSource, inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            logits: torch.Tensor = self.module(source.network_input(inputs.to(self.device)))
        return logits.float()

    @torch.inference_mode()
    def _validate(self) -> tuple[float, float]:
        """Loss and mAP; the mAP is NaN where the logits are not finite, which ends the training."""
        self.module.eval()
        source = self.sets.validation
        logits = torch.cat([self._logits(source, inputs).cpu() for inputs in source.evaluation_batches()])  # (N, C)
        loss = functional.binary_cross_entropy_with_logits(logits, source.targets.float()).item()
        if not logits.isfinite().all():
            return loss, math.nan
        return loss, mean_average_precision(logits.numpy(), source.targets.numpy(), self.recipe.averaging).mean


def rate_groups(module: nn.Module, recipe: MultiLabelRecipe) -> list[dict[str, Any]]:
    """Parameters that are trained, with their learning rates: the head's, then the backbone's where there is one."""
    if not isinstance(module, MultiLabelClassifier):
        return [{"params": list(module.parameters()), "lr": recipe.learning_rate}]
    backbone = [parameter for parameter in module.backbone.parameters() if parameter.requires_grad]
    return [
        {"params": list(module.head.parameters()), "lr": recipe.learning_rate},
        {"params": backbone, "lr": recipe.backbone_learning_rate},
    ]
