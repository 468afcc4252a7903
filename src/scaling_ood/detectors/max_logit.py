"""MaxLogit (the paper, section 3): the negative of the largest unnormalised logit."""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.outputs import Outputs


@detector
class MaxLogit(Detector):
    """-max_k f(x)_k.

    >>> MaxLogit().score(Outputs(torch.tensor([[1.0, 3.0], [0.0, -2.0]]))).tolist()
    [-3.0, -0.0]
    """

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative maximum over the classes; range: any real number."""
        return -self.read(chunk, "logits").amax(dim=1)
