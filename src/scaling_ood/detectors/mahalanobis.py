"""Mahalanobis distance (Lee et al. 2018; the paper, appendix A): how many spreads away is the nearest class?"""

from __future__ import annotations

import logging
from typing import Literal, Self

import torch

from scaling_ood.detectors import products
from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.fit_views import beside, targets_of
from scaling_ood.detectors.nearest import Nearest
from scaling_ood.detectors.outputs import Outputs, OutputsView

LOGGER = logging.getLogger(__name__)

MINIMUM_IMAGES_PER_CLASS = 2
_SINGLE = 1e6
_TOLD = 0.01
"""Part of what shrinking adds that a variance must have had before, to be told from their sum."""
_EPSILON = torch.finfo(torch.float64).eps


@detector
class Mahalanobis(Detector):
    """min_k (f - m_k)' S^-1 (f - m_k), with f the penultimate features, m_k the class means, S one shared covariance.

    Classes are the true labels; classes without fit images play no part. S is the mean over the fit images of the outer
    product of f - m_y, shrunk towards a multiple of the identity. It is learnt in float64, but for these products: they
    are in single precision where the least variance stands out of its rounding. Directions in which the
    features of a class do not vary, by the rule of the pseudo-inverse, are left out: the plain inverse in single
    precision is where the paper met NaN.

    Scores are in single precision, after the features' centre was taken off, where that is precise enough: where the
    condition number of S is at most 1e6. Else they are in float64. The distance to the nearest mean is summed up of
    squared differences, so that nothing cancels; see `Nearest`.

    Fitting passes twice over the images, or three times, and holds the C x D means, the D x D covariance and its
    factor: 0.2 GB for 1,000 x 2,048.
    """

    needs = frozenset({"features"})
    dense = False

    def __init__(self, shrinkage: float | Literal["ledoit_wolf"] = "ledoit_wolf") -> None:
        """Set how far the covariance is shrunk.

        Args:
            shrinkage: 0 (not at all, as Lee et al.) to 1 (Euclidean distance), or the intensity of Ledoit & Wolf
                (2004), which goes to 0 as the fit images become many.
        """
        number = isinstance(shrinkage, int | float) and 0 <= shrinkage <= 1
        if not (number or shrinkage == "ledoit_wolf"):
            raise ValueError(f"shrinkage must be 'ledoit_wolf' or a number from 0 to 1, not {shrinkage!r}")
        self.shrinkage = shrinkage
        self.centre = torch.empty(0, dtype=torch.float64)
        self.whitening = torch.empty(0, 0, dtype=torch.float64)
        self.triangular = False
        self.means: Nearest | None = None
        self._diagnostics: dict[str, float] = {}

    def fit(self, outputs: OutputsView) -> Self:
        """Learn class means and shared covariance.

        Raises:
            NotApplicableError: The classes of the fit images are not known, there are under 2 fit images per class on
                average, or all images of a class look the same.
        """
        classes, position = torch.unique(targets_of(outputs), return_inverse=True)  # (K,), (N,)
        images, filled = len(position), len(classes)
        if images < MINIMUM_IMAGES_PER_CLASS * max(filled, 1):
            raise NotApplicableError(
                f"too few fit images ({images:,} images of {filled:,} classes; at least {MINIMUM_IMAGES_PER_CLASS} per "
                "class on average)"
            )
        means, kind = self._class_means(outputs, position, filled)
        for single in (True, False):
            scatter, fourth = self._scatter(outputs, position, means, single=single)
            covariance = scatter.total() / images
            level = float(covariance.diagonal().mean())
            if level == 0:
                raise NotApplicableError("the fit images of each class have the same features")
            shrinkage = (
                _ledoit_wolf(covariance, fourth, images) if self.shrinkage == "ledoit_wolf" else float(self.shrinkage)
            )
            shrunk = (1 - shrinkage) * covariance
            shrunk.diagonal().add_(shrinkage * level)
            whitening, self.triangular, least, largest = _whitening(shrunk)  # (D, D')
            before = [least - shrinkage * level, largest - shrinkage * level]
            if scatter.stands_out(images * before[0] if self.triangular else 0.0):
                break
        if not self.triangular or before[0] < _TOLD * shrinkage * level:
            before = products.eigenvalues(covariance)[[0, -1]].tolist()
        condition = largest / least
        kind = kind if condition <= _SINGLE else torch.float64
        self.centre, self.whitening = means.mean(dim=0).to(kind), whitening.to(kind)
        self.means = Nearest(self._white(means - self.centre, whitening).to(kind))  # (K, D')
        self._diagnostics = {
            "classes": float(filled),
            "images_per_class_mean": images / filled,
            "shrinkage": shrinkage,
            "condition_number": condition,
            "condition_number_unshrunk": float(before[1] / max(before[0], level * _EPSILON)),
            "directions_left_out": float(len(whitening) - whitening.shape[1]),
        }
        LOGGER.info("%s: %s", self.name, ", ".join(f"{key} {value:.4g}" for key, value in self._diagnostics.items()))
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Squared distance to the nearest class mean, summed up in float64, at least 0."""
        assert self.means is not None
        features = self.read(chunk, "features")  # (N, D)
        kind = torch.promote_types(features.dtype, self.centre.dtype)
        white = self._white((features - self.centre).to(kind), self.whitening.to(kind))
        return self.means.squared_distance(white, 1)

    def diagnostics(self) -> dict[str, float]:
        """Classes, images, shrinkage, and condition numbers; that before shrinking is at most D / 2e-16."""
        return dict(self._diagnostics)

    def _white(self, centred: torch.Tensor, whitening: torch.Tensor) -> torch.Tensor:
        """Features in which each direction that is kept varies by 1, (N, D')."""
        return (products.times_upper if self.triangular else products.times)(centred, whitening)

    def _class_means(
        self, outputs: OutputsView, position: torch.Tensor, classes: int
    ) -> tuple[torch.Tensor, torch.dtype]:
        """Means (K, D) in float64, and the features' own type."""
        sums: torch.Tensor | None = None
        kind = torch.float32
        for chunk, mine in beside(outputs, position):
            features = self.read(chunk, "features")
            kind = features.dtype
            if sums is None:
                sums = features.new_zeros(classes, features.shape[1], dtype=torch.float64)
            sums.index_add_(0, mine, features.double())
        assert sums is not None
        return sums / torch.bincount(position, minlength=classes)[:, None].to(sums.device), kind

    def _scatter(
        self, outputs: OutputsView, position: torch.Tensor, means: torch.Tensor, *, single: bool
    ) -> tuple[products.OuterProducts, float]:
        """Outer products of f - m_y, and the mean of |f - m_y|^4."""
        scatter, fourth = products.OuterProducts(), 0.0
        for chunk, mine in beside(outputs, position):
            features = self.read(chunk, "features")
            residual = features.to(torch.float64, copy=True).sub_(means[mine])
            scatter.add(residual, single=single and features.dtype != torch.float64)
            fourth += float(torch.linalg.vector_norm(residual, dim=1).pow_(4).sum())
        return scatter, fourth / len(position)


def _whitening(covariance: torch.Tensor) -> tuple[torch.Tensor, bool, float, float]:
    """What makes features vary by 1 in every direction that is kept, (D, D').

    Returns:
        It; whether it is upper triangular; the least variance that is kept, and the largest.
    """
    factor, failed = torch.linalg.cholesky_ex(covariance, upper=True)
    if not int(failed):
        inverse = products.inverse_of_upper(factor)
        least, largest = products.extreme_eigenvalues(covariance, inverse)
        if least > len(covariance) * _EPSILON * largest:
            return inverse, True, least, largest
    variances, directions = products.eigen(covariance)
    kept = variances > len(variances) * _EPSILON * variances[-1]
    variances = variances[kept]
    return directions[:, kept] * variances.rsqrt(), False, float(variances[0]), float(variances[-1])


def _ledoit_wolf(covariance: torch.Tensor, fourth: float, images: int) -> float:
    """Optimal intensity for centred data (Ledoit & Wolf 2004, "A well-conditioned estimator ..."), in [0, 1].

    The squared error of the covariance, over its squared distance from the multiple of the identity that has its trace.
    """
    diagonal = covariance.diagonal()
    beside = 2 * covariance.triu(1).square_().sum()
    distance = float(beside + (diagonal - diagonal.mean()).square().sum())
    error = max((fourth - float(beside + diagonal.square().sum())) / images, 0.0)
    return min(error / distance, 1.0) if distance > 0 else 0.0
