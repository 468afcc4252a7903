"""ReAct (Sun et al. 2021): the energy of the logits, after unusually large activations were clipped."""

from __future__ import annotations

from typing import Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.fit_views import head_of
from scaling_ood.detectors.head import LinearHead
from scaling_ood.detectors.log_sums import log_sum_exp
from scaling_ood.detectors.outputs import Outputs, OutputsView
from scaling_ood.detectors.percentile import exact_percentile


@detector
class ReAct(Detector):
    """-log sum_k exp(W min(f, c) + b)_k, with c a percentile of all activations of the fit images.

    Fitting passes three times over the images; the percentile is exact in 1 MB. Holds the last layer.
    """

    needs = frozenset({"features"})
    dense = False
    head: LinearHead

    def __init__(self, percentile: float = 90.0) -> None:
        """Set the percentile, above 0 and under 100."""
        if not (isinstance(percentile, int | float) and 0 < percentile < 100):  # noqa: PLR2004 - a percentage
            raise ValueError(f"percentile must be a number above 0 and under 100, not {percentile!r}")
        self.percentile = percentile
        self.threshold = self.offset = 0.0
        self.centre = torch.zeros(0)

    def fit(self, outputs: OutputsView) -> Self:
        """Find the activation to clip at.

        Raises:
            NotApplicableError: The last layer is not known, or there is no fit image.
        """
        self.head = head_of(outputs)
        total, images = self.head.bias.new_zeros(self.head.weight.shape[1]), 0
        for chunk in outputs:
            features = self.read(chunk, "features")
            self.head.on(features)  # or they have another width
            total = total.to(features.device) + features.sum(dim=0, dtype=torch.float64)
            images += len(features)
        if not images:
            raise NotApplicableError("too few fit images (none)")
        self.threshold = exact_percentile(
            lambda: (self.read(chunk, "features") for chunk in outputs), float(self.percentile)
        )
        self.centre = (total / images).clamp_max_(self.threshold)
        self.head, self.offset = self.head.around(self.centre)
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Free energy of the clipped features, added up in float64; range: any real number."""
        features = self.read(chunk, "features")
        clipped = features.clamp_max(self.threshold).sub_(self.centre.to(features))
        return log_sum_exp(self.head.logits(clipped)).add_(self.offset).neg_()

    def diagnostics(self) -> dict[str, float]:
        """The activation that is clipped at."""
        return {"threshold": self.threshold}
