"""Virtual-logit matching (Wang et al. 2022): one more class, for what the principal directions do not explain."""

from __future__ import annotations

from typing import Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.fit_views import head_of
from scaling_ood.detectors.head import LinearHead
from scaling_ood.detectors.log_sums import log_sum_exp
from scaling_ood.detectors.outputs import Outputs, OutputsView
from scaling_ood.detectors.products import OuterProducts, least_eigen, times_trapezoid, trapezoid

_WIDE, _MIDDLE = 2048, 768
_SINGLE = 1e-4
"""Share of the fit images' spread that the residual directions must hold for lengths in single precision."""
_INDEPENDENT = 1e-4


@detector
class ViM(Detector):
    """a |R'(f - u)| - log sum_k exp(f_k): the virtual logit over the energy, which ranks as its softmax probability.

    u = -W^+ b is the point at which all logits of the last layer are nearest to 0, R the directions in which the fit
    images vary least around it, and a matches scales: mean largest logit over mean |R'(f - u)| of the fit images.

    Fitting is in float64, but for the products of the fit images with each other: these are in single precision where
    the residual variances stand out of its rounding. Lengths are in single precision, after the features' centre was
    taken off, which keeps them exact where features have a large offset.

    Fitting passes twice over the images, or three times, and holds D x D in float64: 0.15 GB for 2,048.
    """

    needs = frozenset({"features", "logits"})
    dense = False

    def __init__(self, dimensions: int | None = None) -> None:
        """Set how many principal directions are explained, at least 1 and fewer than D.

        None takes Wang et al.'s: 1,000 where D is at least 2,048, else 512. They have no network of fewer than 768
        features; there it is D // 2.
        """
        if not (dimensions is None or (isinstance(dimensions, int) and dimensions >= 1)):
            raise ValueError(f"dimensions must be an integer of at least 1, or none, not {dimensions!r}")
        self.dimensions = dimensions
        self.centre = torch.empty(0)
        self.residual = torch.empty(0, 0)
        self.shift = torch.empty(0)
        self.scale = 0.0
        self.fit_images = 0

    def fit(self, outputs: OutputsView) -> Self:
        """Learn the residual directions and the scale.

        Raises:
            NotApplicableError: The last layer is not known; there are not more fit images than principal directions, or
                these explain them wholly; their largest logits are negative on average, so that nothing can match them.
            ValueError: The features do not have the layer's width, or no more than `dimensions`.
        """
        head = head_of(outputs)
        width = head.weight.shape[1]
        principal = self.dimensions or _principal(width)
        if principal >= width:
            raise ValueError(f"dimensions must be under the {width:,} of the features, not {principal:,}")
        origin = _origin(head)  # (D,)
        for single in (True, False):
            products, total, images, kind = self._moments(outputs, origin, single=single)
            if images <= principal:
                raise NotApplicableError(f"too few fit images ({images:,}; at least {principal + 1:,})")
            moment = products.total()
            variances, residual = least_eigen(moment, width - principal)  # (D, D - d)
            if products.stands_out(variances.mean()):
                break
        left, whole = variances.clamp_min(0).sum(), moment.diagonal().sum()
        if left <= width * torch.finfo(torch.float64).eps * whole:
            raise NotApplicableError(f"the {principal:,} principal directions explain the fit images wholly")
        mean, residual = total / images, trapezoid(residual)
        if left < _SINGLE * (whole - images * mean.square().sum()):
            kind = torch.float64
        origin = origin.to(mean.device)
        self.centre = (origin + mean).to(kind)
        # Of the centre as it was rounded: else a large offset of the features would not cancel.
        self.residual, self.shift = residual.to(kind), ((self.centre - origin) @ residual).to(kind)
        lengths, logits = 0.0, 0.0
        for chunk in outputs:
            lengths += float(self._residual_length(chunk).sum())
            logits += float(self.read(chunk, "logits", finite=True).amax(dim=1).double().sum())
        if logits <= 0:
            raise NotApplicableError("the largest logits of the fit images are negative on average")
        self.scale = logits / lengths
        self.fit_images = images
        return self

    def _moments(
        self, outputs: OutputsView, origin: torch.Tensor, *, single: bool
    ) -> tuple[OuterProducts, torch.Tensor, int, torch.dtype]:
        """Outer products of the features off the origin, their sum (D,), how many images there are, and their type."""
        products, total, images, kind = OuterProducts(), torch.zeros_like(origin), 0, torch.float32
        for chunk in outputs:
            features = self._features(chunk, len(origin))
            kind = features.dtype
            off = features.to(torch.float64, copy=True).sub_(origin.to(features.device))
            products.add(off, single=single and kind != torch.float64)
            total = total.to(off.device).add_(off.sum(dim=0))
            images += len(chunk)
        return products, total, images, kind

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Virtual logit minus log sum of exp of the logits, added up in float64; range: any real number."""
        return self._residual_length(chunk).mul_(self.scale).sub_(log_sum_exp(self.read(chunk, "logits")))

    def diagnostics(self) -> dict[str, float]:
        """Numbers of directions and images, and the scale of the virtual logit."""
        width, left = self.residual.shape
        return {
            "principal_directions": float(width - left),
            "residual_directions": float(left),
            "virtual_logit_scale": self.scale,
            "fit_images": float(self.fit_images),
        }

    def _residual_length(self, chunk: Outputs) -> torch.Tensor:
        features = self._features(chunk, len(self.residual))
        kind = torch.promote_types(features.dtype, self.residual.dtype)
        centre, residual, shift = (each.to(features.device, kind) for each in (self.centre, self.residual, self.shift))
        along = times_trapezoid(features - centre, residual).add_(shift)
        lengths: torch.Tensor = torch.linalg.vector_norm(along, dim=1).double()
        return lengths

    def _features(self, chunk: Outputs, width: int) -> torch.Tensor:
        features = self.read(chunk, "features")
        if features.shape[1] != width:
            raise ValueError(f"the features have {features.shape[1]:,} dimensions, but the last layer takes {width:,}")
        return features


def _origin(head: LinearHead) -> torch.Tensor:
    """-W^+ b, (D,) float64."""
    weight, bias = (each.double() for each in head)
    factor, failed = torch.linalg.cholesky_ex(weight @ weight.T)
    size = factor.diagonal().abs()
    # Only rows that are plainly independent: the product squares what sets them apart.
    if int(failed) or bool(size.min() < _INDEPENDENT * size.max()):
        inverse: torch.Tensor = torch.linalg.pinv(weight)
        return -(inverse @ bias)
    return -(weight.T @ torch.cholesky_solve(bias[:, None], factor)[:, 0])


def _principal(width: int) -> int:
    """Explained directions of features of that width.

    >>> [_principal(width) for width in (512, 767, 768, 2047, 2048)]
    [256, 383, 512, 512, 1000]
    """
    if width >= _WIDE:
        return 1000
    return 512 if width >= _MIDDLE else width // 2
