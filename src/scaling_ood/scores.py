"""Scores: what a detector says of every test image, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scaling_ood.preparation import TrainedModel


@dataclass(frozen=True)
class Scores:
    """One detector's scores.

    Attributes:
        detector: Its name.
        options: Its options.
        key: What the scores were made from.
        frame: One row per image and classifier: `id`, `image_set` (`test` or an OOD set), `labels`, `seed`, `score`.
        gaps: Kind of labels to the reason why the detector has no meaning there.
        diagnostics: Variant to numbers about the fitted detector.
        images_per_second: Throughput of scoring alone, on stored outputs.
    """

    detector: str
    options: Mapping[str, Any]
    key: str
    frame: pd.DataFrame
    gaps: Mapping[str, str]
    diagnostics: Mapping[str, Mapping[str, float]]
    images_per_second: float

    def first(self, spec: TrainedModel) -> pd.DataFrame:
        """Rows of the classifier that figures show: the first kind of labels, the first seed."""
        chosen = (self.frame["labels"] == spec.labels[0]) & (self.frame["seed"] == spec.seeds[0])
        return self.frame[chosen].reset_index(drop=True)

    def of(self, labels: str, seed: int) -> dict[str, pd.Series[float]]:
        """Scores by image set, of one classifier, in the order of the manifest."""
        rows = self.frame[(self.frame["labels"] == labels) & (self.frame["seed"] == seed)]
        return {str(name): part["score"].reset_index(drop=True) for name, part in rows.groupby("image_set", sort=False)}
