"""Free energy (Liu et al. 2020, "Energy-based Out-of-distribution Detection")."""

from __future__ import annotations

from math import inf

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.log_sums import log_sum_exp
from scaling_ood.detectors.outputs import Outputs


@detector
class Energy(Detector):
    """-T log sum_k exp(f(x)_k / T).

    >>> round(Energy().score(Outputs(torch.zeros(1, 4))).item(), 4)
    -1.3863
    """

    def __init__(self, temperature: float = 1.0) -> None:
        """Set the temperature T, finite and above 0; 1 in the paper's own experiments."""
        if not (isinstance(temperature, int | float) and 0 < temperature < inf):
            raise ValueError(f"temperature must be a number above 0, not {temperature!r}")
        self.temperature = temperature

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Free energy, of images in float64; range: any real number."""
        logits = self.read(chunk, "logits")
        scaled = logits if self.temperature == 1 else logits / self.temperature
        return log_sum_exp(scaled).mul_(-self.temperature)
