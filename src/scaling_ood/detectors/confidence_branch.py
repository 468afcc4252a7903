"""Confidence branch (DeVries & Taylor 2018; the paper, appendix B): a second head learns how sure the first one is.

In training the network may ask for hints: the less confident it is, the more of the true label is mixed into its
posterior, and the more it pays for asking. What it learns to ask for is the score.
"""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.outputs import Outputs


@detector
class ConfidenceBranch(Detector):
    """log (1 - c) / c, with c the confidence, which ranks as 1 - c does, but cannot saturate.

    Needs a network with the branch, trained as in `scaling_ood.training.confidence`; learns nothing from fit images.

    >>> ConfidenceBranch().score(Outputs(confidence=torch.tensor([4.0, 90.0]))).tolist()
    [-4.0, -90.0]
    """

    needs = frozenset({"confidence"})

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Log-odds against the confidence; range: any real number."""
        return -self.read(chunk, "confidence")
