"""Temperature scaling (Guo et al. 2017): MSP of a calibrated classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from math import exp, log
from typing import Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.fit_views import beside, targets_of
from scaling_ood.detectors.log_sums import exp_, top_and_rest
from scaling_ood.detectors.msp import negative_log_top_probability
from scaling_ood.detectors.outputs import Outputs, OutputsView

LEAST, MOST = 0.01, 100.0
_ROWS = 256
"""Images at a time: what is computed of them stays in the processor's cache."""
_CLOSE = 1e-6
"""After so small a step by Newton's method, what is left is its square: less than the rounding of the slope."""


@detector
class TemperatureScaling(Detector):
    """-log max_k softmax(f / T)_k, with T the temperature at which the true classes of the fit images are most likely.

    The likelihood has one maximum in T, which is found in some ten passes over the images. Nothing is held.
    """

    def __init__(self) -> None:
        """There is nothing to set."""
        self.temperature = 1.0
        self._diagnostics: dict[str, float] = {}

    def fit(self, outputs: OutputsView) -> Self:
        """Find the temperature.

        Raises:
            NotApplicableError: The classes of the fit images are not known, there is none, or no temperature from 0.01
                to 100 is best: all are classified right, or no better than by chance.
            ValueError: A target is not one of the classes.
        """
        targets = targets_of(outputs)
        if not len(targets):
            raise NotApplicableError("too few fit images (none)")
        slopes = cache(lambda t: self._slopes(outputs, targets, exp(t)))  # by log T: it is far from linear in T itself

        def slope(t: float) -> float:
            return slopes(t)[0]

        low, high = _around(slope)
        if slope(low) <= 0:
            raise NotApplicableError(f"the fit images become likelier with every lower temperature, down to {LEAST}")
        if slope(high) >= 0:
            raise NotApplicableError(f"the fit images become likelier with every higher temperature, up to {MOST:.0f}")
        self.temperature = exp(_root(slopes, low, high))
        self._diagnostics = {
            "temperature": self.temperature,
            "nll": self._nll(outputs, targets, self.temperature),
            "nll_unscaled": self._nll(outputs, targets, 1.0),
        }
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative log of the top probability, in [0, log C]."""
        return negative_log_top_probability(self.read(chunk, "logits"), self.temperature)

    def diagnostics(self) -> dict[str, float]:
        """The temperature, and the mean negative log-likelihood of the fit images with and without it."""
        return dict(self._diagnostics)

    def _slopes(self, outputs: OutputsView, targets: torch.Tensor, temperature: float) -> tuple[float, float]:
        """Derivative of the mean negative log-likelihood by 1 / T, expected minus true logit, and that of it by log T.

        The first falls with T: the second, the negative variance of the logit over T, is at most 0.
        """
        slope = bend = 0.0
        for below, true in self._below(outputs, targets):
            ratios = exp_(below / temperature)
            mass = ratios.sum(dim=1, dtype=torch.float64)
            expected = torch.linalg.vecdot(ratios, below).double() / mass
            squares = torch.linalg.vecdot(ratios.mul_(below), below).double() / mass
            slope += float((expected - true).sum())
            bend -= float((squares - expected.square()).sum()) / temperature
        return slope / len(targets), bend / len(targets)

    def _nll(self, outputs: OutputsView, targets: torch.Tensor, temperature: float) -> float:
        total = 0.0
        for below, true in self._below(outputs, targets):
            rest = top_and_rest(below, temperature)[1]
            total += float((rest.log1p() - true / temperature).sum())
        return total / len(targets)

    def _below(self, outputs: OutputsView, targets: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """By how much logits (N, C) are below the largest of their image, and those of the true classes, (N,)."""
        for chunk, mine in beside(outputs, targets):
            logits = self.read(chunk, "logits", finite=True)
            if len(mine) and mine.max() >= logits.shape[1]:
                raise ValueError(f"a fit image is of class {int(mine.max())}, but there are {logits.shape[1]} classes")
            for rows, own in zip(torch.split(logits, _ROWS), torch.split(mine, _ROWS), strict=True):
                below = rows - rows.amax(dim=1, keepdim=True)
                yield below, below.gather(1, own[:, None])[:, 0].double()


def _around(slope: Callable[[float], float]) -> tuple[float, float]:
    """Logarithms of two temperatures between which the slope changes its sign, a factor of 4 apart; or the limits."""
    low = high = 0.0
    while slope(low) <= 0 and low > log(LEAST):
        low, high = max(low - log(4), log(LEAST)), low
    while slope(high) >= 0 and high < log(MOST):
        low, high = high, min(high + log(4), log(MOST))
    return low, high


def _root(slopes: Callable[[float], tuple[float, float]], low: float, high: float) -> float:
    """Where a slope that is above 0 at `low` and under 0 at `high` is 0, by Newton's method inside of these."""
    at = min(low, high, key=lambda t: abs(slopes(t)[0]))
    while True:
        slope, bend = slopes(at)
        low, high = (at, high) if slope > 0 else (low, at)
        found = at - slope / bend if bend else low
        if abs(found - at) <= _CLOSE:
            return found
        at = found if low < found < high else (low + high) / 2
        if high - low <= _CLOSE:
            return at
