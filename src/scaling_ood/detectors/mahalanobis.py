"""Mahalanobis distance (Lee et al. 2018; the paper, appendix A): how many spreads away is the nearest class?"""

from __future__ import annotations

import logging
from typing import Literal, Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.fit_views import beside, targets_of
from scaling_ood.detectors.outputs import Outputs, OutputsView

LOGGER = logging.getLogger(__name__)

MINIMUM_IMAGES_PER_CLASS = 2
_ROWS = 1024
_EPSILON = torch.finfo(torch.float64).eps


@detector
class Mahalanobis(Detector):
    """min_k (f - m_k)' S^-1 (f - m_k), with f the penultimate features, m_k the class means, S one shared covariance.

    Classes are the true labels; classes without fit images play no part. S is the mean over the fit images of the outer
    product of f - m_y, shrunk towards a multiple of the identity. Everything is in float64, and directions in which the
    features of a class do not vary, by the rule of the pseudo-inverse, are left out: the plain inverse in single
    precision is where the paper met NaN.

    Fitting passes twice over the images and holds the C x D means, the D x D covariance and its eigenvectors: 0.2 GB
    for 1,000 x 2,048. Scoring holds distances of 1,024 images to all classes: 0.1 GB for 11,221.
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
        self.means = torch.empty(0, 0, dtype=torch.float64)
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
        means = self._class_means(outputs, position, filled)
        covariance, fourth = self._covariance(outputs, position, means)
        eigenvalues, directions = torch.linalg.eigh(covariance)
        eigenvalues = eigenvalues.clamp_min(0)
        level = eigenvalues.mean()
        if level == 0:
            raise NotApplicableError("the fit images of each class have the same features")
        shrinkage = _ledoit_wolf(eigenvalues, fourth, images) if self.shrinkage == "ledoit_wolf" else self.shrinkage
        variances = (1 - float(shrinkage)) * eigenvalues + float(shrinkage) * level
        kept = variances > len(variances) * _EPSILON * variances.max()
        self.centre = means.mean(dim=0)
        self.whitening = directions[:, kept] * variances[kept].rsqrt()  # (D, D')
        self.means = (means - self.centre) @ self.whitening  # (K, D')
        self._diagnostics = {
            "classes": float(filled),
            "images_per_class_mean": images / filled,
            "shrinkage": float(shrinkage),
            "condition_number": float(variances[kept].max() / variances[kept].min()),
            "condition_number_unshrunk": float(eigenvalues.max() / eigenvalues.min().clamp_min(level * _EPSILON)),
            "directions_left_out": float((~kept).sum()),
        }
        LOGGER.info("%s: %s", self.name, ", ".join(f"{key} {value:.4g}" for key, value in self._diagnostics.items()))
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Squared distance to the nearest class mean, in float64, at least 0."""
        features = self.read(chunk, "features").double()  # (N, D)
        return torch.cat([self._nearest(rows) for rows in torch.split(features, _ROWS)])

    def diagnostics(self) -> dict[str, float]:
        """Classes, images, shrinkage, and condition numbers; that before shrinking is at most D / 2e-16."""
        return dict(self._diagnostics)

    def _nearest(self, features: torch.Tensor) -> torch.Tensor:
        white = (features - self.centre) @ self.whitening  # (N, D')
        squares = white.square().sum(dim=1, keepdim=True) + self.means.square().sum(dim=1)
        return torch.addmm(squares, white, self.means.T, alpha=-2).amin(dim=1).clamp_min(0)

    def _class_means(self, outputs: OutputsView, position: torch.Tensor, classes: int) -> torch.Tensor:
        sums: torch.Tensor | None = None
        for chunk, mine in beside(outputs, position):
            features = self.read(chunk, "features").double()
            if sums is None:
                sums = features.new_zeros(classes, features.shape[1])
            sums.index_add_(0, mine, features)
        assert sums is not None
        return sums / torch.bincount(position, minlength=classes)[:, None].to(sums.device)

    def _covariance(
        self, outputs: OutputsView, position: torch.Tensor, means: torch.Tensor
    ) -> tuple[torch.Tensor, float]:
        """Mean outer product of f - m_y, and the mean of |f - m_y|^4."""
        scatter = means.new_zeros(means.shape[1], means.shape[1])
        fourth = 0.0
        for chunk, mine in beside(outputs, position):
            residual = self.read(chunk, "features").double() - means[mine]
            scatter.addmm_(residual.T, residual)
            fourth += float(residual.square().sum(dim=1).square().sum())
        return scatter / len(position), fourth / len(position)


def _ledoit_wolf(eigenvalues: torch.Tensor, fourth: float, images: int) -> float:
    """Optimal intensity for centred data (Ledoit & Wolf 2004, "A well-conditioned estimator ..."), in [0, 1].

    The squared error of the covariance, over its squared distance from the multiple of the identity that has its trace.
    """
    distance = float((eigenvalues - eigenvalues.mean()).square().sum())
    error = max((fourth - float(eigenvalues.square().sum())) / images, 0.0)
    return min(error / distance, 1.0) if distance > 0 else 0.0
