"""Learning to say "I do not know": the loss of DeVries & Taylor (2018, arXiv:1802.04865, section 3), also per pixel.

While training, the network may ask for hints: its prediction p is moved towards the truth y by as much as it lacks
confidence c, at a price. After training, a low c marks what it would have needed a hint for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch.nn import functional

from scaling_ood.models.heads import Second
from scaling_ood.training.classification import Loss, Objective


class ConfidenceLoss(NamedTuple):
    """Parts of the loss, scalars.

    Attributes:
        total: `task + weight * price`.
        task: Mean of -log p' of the true class.
        price: Mean of -log c, from the raw confidence, hint or not.
    """

    total: torch.Tensor
    task: torch.Tensor
    price: torch.Tensor


def confidence_loss(
    logits: torch.Tensor,
    confidence: torch.Tensor,
    labels: torch.Tensor,
    coins: torch.Tensor,
    weight: float,
    void: int | None = None,
) -> ConfidenceLoss:
    """Loss of predictions that may take hints: p' = c' p + (1 - c') y, where c' is c for coins of 1, and 1 for 0.

    Args:
        logits: (N, C) or (N, C, H, W).
        confidence: (N,) or (N, H, W), before the sigmoid.
        labels: (N,) or (N, H, W) class indices.
        coins: 1 where a hint is given, else 0; any shape that broadcasts to the labels'. See `toss`.
        weight: Of the price, lambda; see `Budget`.
        void: The label that counts nowhere; None if there is none.

    Returns:
        All zero where everything is void.
    """
    counted = torch.ones_like(labels, dtype=torch.bool) if void is None else labels != void
    truth = torch.where(counted, labels, 0).long().unsqueeze(1)
    # Only the true class enters the loss, where y is 1. In logarithms, the authors' clamps at 1e-12 are not needed.
    posterior = logits.float().log_softmax(dim=1).gather(1, truth).squeeze(1)
    sure, unsure = functional.logsigmoid(confidence.float()), functional.logsigmoid(-confidence.float())
    task = -torch.where(coins.expand_as(sure) > 0, torch.logaddexp(sure + posterior, unsure), posterior)
    task, price = (torch.where(counted, x, 0).sum() / counted.sum().clamp(min=1) for x in (task, -sure))
    return ConfidenceLoss(task + weight * price, task, price)


def toss(labels: torch.Tensor, unit: Literal["pixel", "image"] = "pixel") -> torch.Tensor:
    """A fair coin, from the global generator, for each label or one for all labels of an image.

    Args:
        labels: (N,) or (N, H, W).
        unit: The paper does not say which; they differ for (N, H, W) only.

    Returns:
        Float 0 or 1, of the labels' shape, or (N, 1, 1).
    """
    shape = labels.shape if unit == "pixel" else (len(labels), *(1,) * (labels.ndim - 1))
    return torch.rand(shape, device=labels.device).lt(0.5).float()


@dataclass(frozen=True)
class Budget:
    """How the weight of the price is steered, so that the price stays near what the network may spend on hints.

    Attributes:
        weight: Lambda of the first step.
        spend: Price to aim at, in nats.
    """

    weight: float = 0.1
    spend: float = 0.3

    def after(self, price: float, weight: float) -> float:
        """Weight of the next step: smaller by 1.01 where the price was below the budget, else larger by 1 / 0.99.

        >>> round(Budget().after(price=0.2, weight=0.1), 6), round(Budget().after(price=0.4, weight=0.1), 6)
        (0.09901, 0.10101)
        """
        return weight / (1.01 if self.spend > price else 0.99)


@dataclass(frozen=True)
class Hints:
    """Options of a training with hints.

    Attributes:
        unit: What a coin is tossed for, see `toss`.
        budget: Steers the weight of the price.
    """

    unit: Literal["pixel", "image"] = "pixel"
    budget: Budget = Budget()


@dataclass(frozen=True)
class ConfidenceObjective(Objective):
    """The loss with hints of a classifier whose head also gives the confidence; labels are not smoothed.

    Its row has the `hint_price`, and the `hint_weight` of the next step.

    Attributes:
        budget: Steers the weight of the price.
    """

    budget: Budget = Budget()
    second: ClassVar[Second] = "confidence"

    @property
    def extra(self) -> dict[str, float]:
        """The budget's own weight."""
        return {"hint_weight": self.budget.weight}

    def loss(self, outputs: Mapping[str, torch.Tensor], targets: torch.Tensor, extra: Mapping[str, float]) -> Loss:
        """The loss of a batch, see `Objective`."""
        coins, weight = toss(targets), extra["hint_weight"]
        loss = confidence_loss(outputs["logits"], outputs["confidence"], targets, coins, weight)
        return Loss(loss.total, {"hint_price": loss.price.item()})

    def after(self, extra: Mapping[str, float], means: Mapping[str, float]) -> Mapping[str, float]:
        """The weight, steered by the price."""
        return {"hint_weight": self.budget.after(means["hint_price"], extra["hint_weight"])}
