"""Which images a step sees, by the seed, the epoch and the number of the batch alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sampling:
    """How an epoch is cut into batches.

    Attributes:
        images: Images per batch, at least 2: batch norm has no variance over one.
        seed: Of the order, and of all that chance does to the images.
        steps: Batches per epoch; None for one pass over the images, without the smaller batch at its end.
    """

    images: int
    seed: int
    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse a batch of one."""
        if self.images < 2:  # noqa: PLR2004
            raise ValueError(f"{self.images} image a batch: batch norm needs at least 2")

    def per_epoch(self, images: int) -> int:
        """Number of batches; a set that is smaller than a batch is repeated within it."""
        return self.steps or max(1, images // self.images)

    def order(self, images: int, epoch: int) -> NDArray[np.int64]:
        """Indices (steps, images) of one epoch: as many passes as it takes, each in an order of its own."""
        wanted = self.per_epoch(images) * self.images
        passes: list[NDArray[np.int64]] = []
        while len(passes) * images < wanted:
            passes.append(self.chance(0, epoch, len(passes)).permutation(images))
        return np.concatenate(passes)[:wanted].reshape(-1, self.images)

    def chance(self, purpose: int, epoch: int, number: int) -> np.random.Generator:
        """A generator for one decision; purpose 0 is the order."""
        return np.random.default_rng([self.seed, purpose, epoch, number])
