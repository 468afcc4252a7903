"""Confidence branch (DeVries & Taylor 2018; the paper, appendix B): a second head learns how sure the first one is.

In training the network may ask for hints: the less confident it is, the more of the true label is mixed into its
posterior, and the more it pays for asking. What it learns to ask for is the score.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn.functional import logsigmoid

from scaling_ood.detectors.base import Detector, Outputs, at_least_float32, check_choice, detector


@detector
class ConfidenceBranch(Detector):
    """log (1 - c) / c, with c the confidence, which ranks as 1 - c does, but cannot saturate.

    Needs a network with the branch, trained with `hinted_losses`; it learns nothing from the fit images.

    >>> ConfidenceBranch().score(Outputs(torch.zeros(2, 3), confidence=torch.tensor([4.0, 90.0]))).tolist()
    [-4.0, -90.0]
    """

    needs = frozenset({"confidence"})

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Log-odds against the confidence; range: any real number."""
        return -self.read(chunk, "confidence")


def hints(
    confidence: torch.Tensor, generator: torch.Generator, per: Literal["pixel", "image"] = "pixel"
) -> torch.Tensor:
    """The coins that decide who may have hints: half of all images or pixels, so that no one can rely on them.

    The paper calls it a beta distribution, but B(0.5) in its source is a coin. Neither says whether the pixels of one
    image share it; here they do not, by default.

    Args:
        confidence: (N,) or (N, H, W), for its shape and device.
        generator: Source of chance, on that device.
        per: Whether each pixel has a coin of its own, or all of an image share one.

    Returns:
        Booleans of the shape of `confidence`.
    """
    check_choice("per", per, ("pixel", "image"))
    shape = confidence.shape if per == "pixel" else (len(confidence), *[1] * (confidence.ndim - 1))
    coins = torch.rand(shape, generator=generator, device=confidence.device) < 0.5  # noqa: PLR2004 - a fair coin
    return coins.expand(confidence.shape)


def hinted_losses(
    logits: torch.Tensor, confidence: torch.Tensor, labels: torch.Tensor, hinted: torch.Tensor, ignore_index: int = -100
) -> tuple[torch.Tensor, torch.Tensor]:
    """Task loss under hints, and what the hints cost; the network minimises task + weight * cost.

    With c = sigmoid(confidence): task = -log(c p_y + 1 - c) where hinted, -log p_y elsewhere, and cost = -log c of all,
    hinted or not. Both are means. In logarithms, so nothing is clamped.

    Args:
        logits: (N, C) or (N, C, H, W).
        confidence: (N,) or (N, H, W) logit of the confidence.
        labels: Class ids of that shape, int64.
        hinted: Booleans of that shape; see `hints`.
        ignore_index: The label of pixels that are left out of both losses.

    >>> task, cost = hinted_losses(torch.zeros(1, 4), torch.zeros(1), torch.tensor([2]), torch.tensor([True]))
    >>> round(task.exp().item() ** -1, 4), round(cost.exp().item() ** -1, 4)
    (0.625, 0.5)
    """
    counted = labels != ignore_index
    true_class = labels.where(counted, torch.zeros_like(labels)).unsqueeze(1)
    log_posterior = at_least_float32(logits).log_softmax(dim=1).gather(1, true_class).squeeze(1)  # (N, ...)
    certain, doubtful = logsigmoid(at_least_float32(confidence)), logsigmoid(-at_least_float32(confidence))
    with_hint = torch.logaddexp(certain + log_posterior, doubtful)
    task = -torch.where(hinted, with_hint, log_posterior)
    return task[counted].mean(), -certain[counted].mean()


def next_weight(weight: float, cost: float, budget: float = 0.3) -> float:
    """The weight of the cost of hints after one more step; it starts at 0.1.

    Under budget the network may ask for more: the weight shrinks by 1.01. Otherwise it grows, by 1 / 0.99. The paper
    prints the sum of the confidences in the place of the cost; the rule of the released code, this one, is
    the one under which the budget has a meaning.

    >>> next_weight(0.101, cost=0.2), next_weight(0.099, cost=0.4)
    (0.1, 0.1)
    """
    return weight / 1.01 if cost < budget else weight / 0.99
