"""Activation shaping (Djurisic et al. 2023): the energy of the logits, after most activations were removed."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch.nn import functional

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.fit_views import head_of
from scaling_ood.detectors.head import LinearHead
from scaling_ood.detectors.largest import places_of_largest
from scaling_ood.detectors.log_sums import log_sum_exp
from scaling_ood.detectors.outputs import Outputs, OutputsView
from scaling_ood.wording import check_choice

_CLASSES = 128


@detector
class ASH(Detector):
    """-log sum_k exp(W s(f) + b)_k, with s(f) the largest activations of the image, shaped by one of three rules.

    Fitting passes once over the images, to see that no activation is negative. Holds the last layer.
    The kept activations alone are multiplied with it.
    """

    needs = frozenset({"features"})
    dense = False
    head: LinearHead
    columns: tuple[torch.Tensor, ...] = ()

    def __init__(self, variant: Literal["s", "b", "p"] = "s", percentile: float = 90.0) -> None:
        """Set the rule, and how much is removed.

        Args:
            variant: `"p"` prunes only. `"b"` gives all that is kept the same value, so that the sum stays what it was.
                `"s"` scales what is kept by exp(sum before / sum after).
            percentile: Share of the D activations that is removed, in percent: at least 0 and under 100. The authors'
                run on ImageNet has `"s"` at 90; their functions' own default is 65.
        """
        check_choice("variant", variant, ("s", "b", "p"))
        if not (isinstance(percentile, int | float) and 0 <= percentile < 100):  # noqa: PLR2004 - a percentage
            raise ValueError(f"percentile must be a number of at least 0 and under 100, not {percentile!r}")
        self.variant = variant
        self.percentile = percentile

    def fit(self, outputs: OutputsView) -> Self:
        """Take over the last layer.

        Raises:
            NotApplicableError: The last layer is not known, or there are negative activations, whose sums mean nothing.
        """
        self.head = head_of(outputs)
        # Few classes at a time: their columns stay in the processor's cache.
        self.columns = tuple(part.T.contiguous() for part in torch.split(self.head.weight, _CLASSES))
        if any(bool((self.read(chunk, "features") < 0).any()) for chunk in outputs):
            raise NotApplicableError("some activations of the fit images are negative, as none after a ReLU is")
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Free energy of the shaped features, added up in float64; range: any real number.

        Raises:
            ValueError: The features have another width than the last layer.
        """
        features = self.read(chunk, "features")
        self.head.on(features)  # or they have another width
        bias = self.head.bias.to(features)
        places, kept = shaped(features, self.variant, float(self.percentile))
        logits = [
            functional.embedding_bag(places, part.to(features), per_sample_weights=kept, mode="sum")
            for part in self.columns
        ]
        return log_sum_exp(torch.cat(logits, dim=1).add_(bias)).neg_()


def shaped(
    features: torch.Tensor, variant: Literal["s", "b", "p"], percentile: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest activations of features (N, D), at least one; of equal ones, the first.

    Returns:
        Where they are, (N, kept), in their order; and what they become.

    >>> places, kept = shaped(torch.tensor([[1.0, 0.0, 2.0, 1.0]]), "b", 50)
    >>> places.tolist(), kept.tolist()
    ([[0, 2]], [[2.0, 2.0]])
    """
    width = features.shape[1]
    kept = max(width - round(width * percentile / 100), 1)
    places = places_of_largest(features, kept)  # (N, kept)
    largest = features.gather(1, places)
    before = features.sum(dim=1, keepdim=True, dtype=torch.float64)
    after = largest.sum(dim=1, keepdim=True, dtype=torch.float64)
    if variant == "b":
        largest = (before / kept).to(largest).expand_as(largest)
    elif variant == "s":
        # An image without any activation keeps none.
        largest = largest * (before / after.where(after > 0, 1)).exp().to(largest)
    return places, largest
