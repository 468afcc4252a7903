"""What the detectors that are novelty estimators of scikit-learn have in common."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from scaling_ood.detectors.base import Detector, NotApplicableError
from scaling_ood.detectors.outputs import Outputs, OutputsView
from scaling_ood.wording import check_choice

LOGGER = logging.getLogger(__name__)


class NoveltyDetector(Detector):
    """An estimator of how far an image lies from the fit images; blind to what the classifier says of them.

    scikit-learn works on the processor: what is on another device is copied there.

    Fitting holds all fit images twice, N x D in single precision: 0.3 GB for 40,504 x 1,000.
    """

    needs = frozenset({"features"})
    dense = False
    on_processor = True

    def __init__(self, on: Literal["features", "logits"], fewest_images: int) -> None:
        """Set what describes an image, and of how many images the estimator makes sense."""
        check_choice("on", on, ("features", "logits"))
        self.on = on
        self.needs = frozenset({on})
        self.fewest_images = fewest_images
        self.estimator: Any = None

    @abstractmethod
    def new_estimator(self) -> Any:
        """An unfitted estimator with `fit` and `score_samples`, the latter higher for what is more normal."""

    def fit(self, outputs: OutputsView) -> Self:
        """Fit the estimator on all images.

        Raises:
            NotApplicableError: Too few images.
        """
        chunks = [self._rows(chunk) for chunk in outputs]
        images = sum(map(len, chunks))
        if images < self.fewest_images:
            raise NotApplicableError(f"too few fit images ({images:,}; at least {self.fewest_images:,})")
        rows = np.concatenate(chunks)  # (N, D)
        LOGGER.info("%s: fitting on %s images x %s %s", self.name, *(f"{size:,}" for size in rows.shape), self.on)
        started = time.perf_counter()
        self.estimator = self.new_estimator().fit(rows)
        LOGGER.info("%s: fitted in %.1f s", self.name, time.perf_counter() - started)
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative of the estimator's own score, in float64."""
        return -torch.from_numpy(self.estimator.score_samples(self._rows(chunk))).double()

    def _rows(self, chunk: Outputs) -> NDArray[np.float32]:
        return self.read(chunk, self.on, finite=True).float().cpu().numpy()
