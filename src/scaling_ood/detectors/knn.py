"""Nearest neighbours (Sun et al. 2022): how far is the k-th nearest fit image?"""

from __future__ import annotations

from typing import Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.outputs import Outputs, OutputsView

_ROWS = 1024
_BLOCK = 4096


@detector
class KNN(Detector):
    """Euclidean distance to the k-th nearest fit image, all features scaled to length 1.

    Blind to labels and to what the classifier says. The search is exact: one matrix product per block of fit images, in
    float64, so that the distance to a near copy keeps its digits.

    Holds the features of all fit images, N x D, as they are stored (half precision as single): 1.6 GB for
    522,500 x 768. Scoring holds distances of 1,024 images to 4,096 at a time.
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
        self.blocks: list[torch.Tensor] = []

    def fit(self, outputs: OutputsView) -> Self:
        """Keep the features of all fit images.

        Raises:
            NotApplicableError: There are fewer fit images than neighbours.
        """
        self.blocks = [
            block.clone() for chunk in outputs for block in torch.split(self.read(chunk, "features"), _BLOCK)
        ]
        images = sum(map(len, self.blocks))
        if images < self.neighbours:
            raise NotApplicableError(f"too few fit images ({images:,}; at least {self.neighbours:,})")
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Distance in [0, 2], in float64; features that are all 0 have no direction, and are 1 from all others."""
        return torch.cat([self._distance(rows) for rows in torch.split(self.read(chunk, "features"), _ROWS)])

    def diagnostics(self) -> dict[str, float]:
        """How many images there are to be near to."""
        return {"fit_images": float(sum(map(len, self.blocks)))}

    def _distance(self, features: torch.Tensor) -> torch.Tensor:
        rows = _of_length_one(features)
        nearest = rows.new_full((len(rows), self.neighbours), torch.inf)  # squared distances
        for block in self.blocks:
            others = _of_length_one(block)
            squares = rows.square().sum(dim=1, keepdim=True) + others.square().sum(dim=1)
            found = torch.addmm(squares, rows, others.T, alpha=-2)  # (N, block)
            nearest = torch.cat([nearest, found], dim=1).topk(self.neighbours, dim=1, largest=False).values
        return nearest.amax(dim=1).clamp_min(0).sqrt()


def _of_length_one(features: torch.Tensor) -> torch.Tensor:
    wide = features.double()
    lengths = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
    scaled: torch.Tensor = wide / lengths.where(lengths > 0, 1)
    return scaled
