"""Densities of scores on an axis that a few extreme values cannot stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAIL = 0.005
"""Share of each set's scores that may lie outside the view, at each end."""

REACH = 4.0
"""How far the view goes beyond the quartiles of a set, in interquartile ranges."""


@dataclass(frozen=True)
class Densities:
    """Two histograms over the same bins.

    Attributes:
        edges: Bounds of the bins, ascending, `(bins + 1,)`.
        in_dist: Density of the in-distribution scores, `(bins,)`, per unit of score; its integral is the share in view.
        ood: The same of the OOD scores.
        outside: Share of in-distribution and of OOD scores that are not in view.
    """

    edges: NDArray[np.float64]
    in_dist: NDArray[np.float64]
    ood: NDArray[np.float64]
    outside: tuple[float, float]


def score_densities(in_dist: NDArray[np.float64], ood: NDArray[np.float64], bins: int = 30) -> Densities:
    """Histograms of two sets of scores on a common axis.

    The axis holds of each set all but the outermost 0.5 % at either end, and goes no farther than four interquartile
    ranges beyond its quartiles. Infinite scores are never in view.

    Args:
        in_dist: In-distribution scores, `(n_in,)`, at least one of them finite.
        ood: OOD scores, `(n_out,)`, at least one of them finite.
        bins: Number of bins.

    Raises:
        ValueError: A set has no finite score.

    >>> shown = score_densities(np.r_[np.linspace(0, 1, 1000), 1e6], np.linspace(1, 2, 1000), bins=4)
    >>> shown.edges.round(1).tolist(), [round(share, 3) for share in shown.outside]
    ([0.0, 0.5, 1.0, 1.5, 2.0], [0.006, 0.005])
    """
    low, high = _view(in_dist, ood)
    edges = np.linspace(low, high, bins + 1)
    counts = [np.histogram(scores, edges)[0] for scores in (in_dist, ood)]
    shares = [count / len(scores) for count, scores in zip(counts, (in_dist, ood), strict=True)]
    outside = (1 - float(shares[0].sum()), 1 - float(shares[1].sum()))
    width = edges[1] - edges[0]
    return Densities(edges, shares[0] / width, shares[1] / width, outside)


def _view(*sets: NDArray[np.float64]) -> tuple[float, float]:
    """Lowest and highest score to show; never an empty interval."""
    bounds = []
    for scores in sets:
        finite = scores[np.isfinite(scores)]
        if not finite.size:
            raise ValueError(f"None of {scores.size} scores is finite, so there is no axis to show them on.")
        outer_low, lower, upper, outer_high = np.quantile(finite, [TAIL, 0.25, 0.75, 1 - TAIL]).tolist()
        reach = REACH * (upper - lower) if upper > lower else np.inf
        bounds += [max(outer_low, lower - reach), min(outer_high, upper + reach)]
    low, high = min(bounds), max(bounds)
    largest = max(abs(low), abs(high))
    if high - low > 1e-9 * largest:
        return low, high
    # Constant scores: a bar in the middle of a small interval.
    return low - (0.05 * largest or 0.5), high + (0.05 * largest or 0.5)
