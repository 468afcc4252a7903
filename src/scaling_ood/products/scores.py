"""What detectors say, and how good networks and detectors are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from scaling_ood.products.keys import NOT_MADE, Origin
from scaling_ood.products.tables import WithTables


@dataclass(frozen=True)
class Quality(WithTables):
    """How good a network is at its own work, before any detector is looked at.

    Attributes:
        measure: `top1`, `map`, `miou` or `reconstruction_error`.
        value: Mean over the seeds, on the images that it is judged by; None where targets do not say what is right.
        least: Under which the network is wrong.
        by_set: Image set to the same measure, and to further ones.
        images: How many images each set has that count.
        warning: Where two sets contradict each other; else empty.
        origin: What it was made from.
    """

    measure: str
    value: float | None
    least: float = 0.0
    by_set: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    warning: str = ""
    origin: Origin = NOT_MADE


@dataclass(frozen=True)
class Scores(WithTables):
    """One detector's scores, and all that a reader must know of them.

    Attributes:
        detector: Its name.
        frame: A row per image and seed: `id`, `image_set` (`test` or an OOD set), `seed`, `score`. Empty for pixels,
            whose scores are made when they are measured, and for a gap.
        gap: Why the detector has no meaning here; empty where it has.
        options: Of the method.
        about: Of the outputs that it read: network, weights, device, precision, throughput; and the network's quality.
        diagnostics: Numbers about the fitted detector of the first seed.
        images_per_second: Throughput of scoring alone, on stored outputs, reading them included; of one process, where
            several made that many times as much. 0 where images were scored while they were passed.
        fit_seconds: What fitting took, of all seeds together, and of all processes that scored: each fits for itself.
        device: Where the detector was fitted and scored: `cpu`, or the product name of a GPU (of several processes the
            first part's); empty where it was not.
        origin: What they were made from.
    """

    detector: str
    frame: pd.DataFrame
    gap: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    images_per_second: float = 0.0
    fit_seconds: float = 0.0
    device: str = ""
    origin: Origin = NOT_MADE

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the networks."""
        return tuple(self.about["seeds"])

    def first(self) -> pd.DataFrame:
        """Rows of the network that figures show: the first seed's."""
        return self.frame[self.frame["seed"] == self.seeds[0]].reset_index(drop=True)

    def of(self, seed: int) -> dict[str, pd.Series[float]]:
        """Scores by image set, of one seed, in the order of the manifest."""
        rows = self.frame[self.frame["seed"] == seed]
        return {str(name): part["score"].reset_index(drop=True) for name, part in rows.groupby("image_set", sort=False)}


@dataclass(frozen=True)
class Measured(WithTables):
    """One detector's metrics.

    Attributes:
        results: Its rows of the results table.
        metrics: A row per seed and OOD set, or per seed and scene.
        origin: What they were made from.
    """

    results: pd.DataFrame
    metrics: pd.DataFrame
    origin: Origin = NOT_MADE
