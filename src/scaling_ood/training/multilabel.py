"""Training of multi-label networks, and of their heads, as in the paper (section 4).

Binary cross-entropy of each class, Adam at two constant rates: the paper calls them beta 1 and beta 2, its released
code shows that 1e-4 is the head's learning rate and 1e-5 the backbone's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from scaling_ood.metrics import AveragingRule, mean_average_precision
from scaling_ood.models import ImageNetwork
from scaling_ood.training.loop import BestEpoch, Lesson, Merit, Recipe, Step
from scaling_ood.training.multilabel_sets import MultiLabelBatch, MultiLabelSets, MultiLabelSource
from scaling_ood.training.ranks import ALONE, Ranks, Share
from scaling_ood.training.sampling import Sampling


@dataclass(frozen=True, kw_only=True)
class MultiLabelRecipe(Recipe):
    """How to train a multi-label network, or its head.

    Attributes:
        epochs: Each ends with a validation.
        batch_images: Images per step, at least 2.
        learning_rate: Of the head.
        backbone_learning_rate: Of the backbone, where it is trained.
        steps_per_epoch: None for one pass over the training images.
        averaging: How precision is averaged for the mAP that the best epoch is chosen by.
        best_epoch: Whether the epoch of the highest mAP on the validation images is used, or the last.
    """

    epochs: int = 50
    batch_images: int = 40
    learning_rate: float = 1e-4
    backbone_learning_rate: float = 1e-5
    steps_per_epoch: int | None = None
    averaging: AveragingRule = "step"
    best_epoch: BestEpoch = "validation"


@dataclass(frozen=True)
class MultiLabel(Lesson[MultiLabelBatch]):
    """The training of an `ImageNetwork` with a `MultiLabelHead` on photographs, or of such a head on features.

    Rows of its history: `variant, epoch, train_loss, learning_rate, validation_loss, validation_map`; losses are in
    nats per image and class, the mAP a fraction.

    Attributes:
        sets: Training and validation images.
        recipe: How to train.
        device: Where to.
    """

    sets: MultiLabelSets
    recipe: MultiLabelRecipe
    device: torch.device

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """Adam, of groups with rates of their own: the head's parameters, then the backbone's where there is one."""
        groups: list[dict[str, Any]] = [{"params": list(module.parameters()), "lr": self.recipe.learning_rate}]
        if isinstance(module, ImageNetwork):
            backbone = [parameter for parameter in module.backbone.parameters() if parameter.requires_grad]
            groups = [
                {"params": list(module.head.parameters()), "lr": self.recipe.learning_rate},
                {"params": backbone, "lr": self.recipe.backbone_learning_rate},
            ]
        return torch.optim.Adam(groups)

    def batches(self, seed: int, epoch: int, share: Share = ALONE.share) -> Iterable[MultiLabelBatch]:
        """The training images of each step."""
        sampling = Sampling(self.recipe.batch_images, seed, self.recipe.steps_per_epoch)
        return self.sets.train.training_batches(sampling, epoch, share)

    def step(
        self,
        module: nn.Module,
        batch: MultiLabelBatch,
        extra: Mapping[str, float],  # noqa: ARG002
        ranks: Ranks = ALONE,
    ) -> Step:
        """Cross-entropy of a batch, its mean over images and classes."""
        (weight,) = ranks.weights([len(batch.targets)])
        logits = self._logits(module, self.sets.train, batch.inputs)
        loss = functional.binary_cross_entropy_with_logits(logits, batch.targets.to(self.device))
        return Step(weight * loss, {"train_loss": (weight * loss.item(), weight)})

    def measure(self, module: nn.Module, epoch: int) -> dict[str, float]:  # noqa: ARG002
        """Loss and mAP; the mAP is NaN where the logits are not finite, which ends the training."""
        source = self.sets.validation
        batches = [self._logits(module, source, inputs).cpu() for inputs in source.evaluation_batches()]
        logits, quality = torch.cat(batches), math.nan  # (N, C)
        loss = functional.binary_cross_entropy_with_logits(logits, source.targets.float()).item()
        if logits.isfinite().all():
            quality = mean_average_precision(logits.numpy(), source.targets.numpy(), self.recipe.averaging).mean
        return {"validation_loss": loss, "validation_map": quality}

    @property
    def merit(self) -> Merit | None:
        """The mAP, if the recipe says so."""
        return (lambda row: row["validation_map"]) if self.recipe.best_epoch == "validation" else None

    def _logits(self, module: nn.Module, source: MultiLabelSource, inputs: torch.Tensor) -> torch.Tensor:
        return self.outputs(module, source.network_input(inputs.to(self.device)))["logits"].float()
