"""Nearest neighbours (Sun et al. 2022): how far is the k-th nearest fit image?"""

from __future__ import annotations

from typing import Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.nearest import Nearest
from scaling_ood.detectors.outputs import Outputs, OutputsView


@detector
class KNN(Detector):
    """Euclidean distance to the k-th nearest fit image, all features scaled to length 1.

    Blind to labels and to what the classifier says. The search is exact; see `Nearest`.

    Holds the features of all fit images, N x D, as they are stored (half precision as single), and a code of each:
    2 GB for 522,500 x 768.
    """

    needs = frozenset({"features"})
    dense = False

    def __init__(self, neighbours: int = 10) -> None:
        """Set k, at least 1.

        Sun et al. take 1,000 of ImageNet's 1,281,167 training images, and 10 of a hundredth of them.
        """
        if not (isinstance(neighbours, int) and neighbours >= 1):
            raise ValueError(f"neighbours must be an integer of at least 1, not {neighbours!r}")
        self.neighbours = neighbours
        self.nearest: Nearest | None = None

    def fit(self, outputs: OutputsView) -> Self:
        """Keep the features of all fit images.

        Raises:
            NotApplicableError: There are fewer fit images than neighbours.
        """
        features = [self.read(chunk, "features").clone() for chunk in outputs]
        images = sum(map(len, features))
        if images < self.neighbours:
            raise NotApplicableError(f"too few fit images ({images:,}; at least {self.neighbours:,})")
        rows = torch.cat(features)
        self.nearest = Nearest(rows, _lengths(rows))
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Distance in [0, 2], in float64; features that are all 0 have no direction, and are 1 from all others."""
        assert self.nearest is not None
        features = self.read(chunk, "features")
        return self.nearest.squared_distance(features, self.neighbours, _lengths(features)).sqrt()

    def diagnostics(self) -> dict[str, float]:
        """How many images there are to be near to."""
        return {"fit_images": float(len(self.nearest or ()))}


def _lengths(features: torch.Tensor) -> torch.Tensor:
    lengths: torch.Tensor = torch.linalg.vector_norm(features, dim=1, dtype=torch.float64)
    return lengths.where(lengths > 0, 1)
