"""Average logit (the paper, section 4): the negative mean of the logits."""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.log_sums import is_of_images
from scaling_ood.detectors.outputs import Outputs


@detector
class LogitAvg(Detector):
    """-mean_k f(x)_k.

    >>> LogitAvg().score(Outputs(torch.tensor([[1.0, 3.0]]))).tolist()
    [-2.0]
    """

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative mean over the classes, of images in float64; range: any real number."""
        logits = self.read(chunk, "logits")
        return logits.mean(dim=1, dtype=torch.float64 if is_of_images(logits) else None).neg_()
