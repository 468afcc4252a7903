"""Maximum softmax probability (Hendrycks & Gimpel 2017; the paper, section 3): -max_k p(y = k | x)."""

from __future__ import annotations

from typing import Literal

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.log_sums import top_and_rest
from scaling_ood.detectors.outputs import Outputs
from scaling_ood.wording import check_choice


def negative_log_top_probability(logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """-log max_k softmax(logits / T)_k over dimension 1, without saturation; see `top_and_rest`.

    Args:
        logits: (N, C, ...), at least float32.
        temperature: T, above 0.

    Returns:
        (N, ...), in [0, log C]; 0 = certain. Of images it is float64.
    """
    return top_and_rest(logits, temperature)[1].log1p_()


@detector
class MSP(Detector):
    """-log max_k p_k, which ranks as -max_k p_k does, but cannot saturate.

    p is the softmax over the classes or, by option, each class's own sigmoid, as in the code released for multi-label
    networks. The sigmoid is increasing, so -log max_k sigmoid(f)_k ranks exactly as `max_logit`; the softmax does not.

    >>> MSP().score(Outputs(torch.tensor([[0.0, 0.0], [40.0, 0.0], [50.0, 0.0]]))).exp().log2().tolist()[0]
    1.0
    """

    def __init__(self, probability: Literal["softmax", "sigmoid"] = "softmax") -> None:
        """Set what makes probabilities of logits."""
        check_choice("probability", probability, ("softmax", "sigmoid"))
        self.probability = probability

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative log of the top probability: in [0, log C] with softmax, at least 0 with sigmoid."""
        logits = self.read(chunk, "logits")
        if self.probability == "softmax":
            return negative_log_top_probability(logits)
        top = logits.amax(dim=1)
        return torch.logaddexp(-top, torch.zeros_like(top))
