"""Virtual-logit matching (Wang et al. 2022): one more class, for what the principal directions do not explain."""

from __future__ import annotations

from typing import Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.fit_views import head_of
from scaling_ood.detectors.outputs import Outputs, OutputsView

_WIDE, _MIDDLE = 2048, 768


@detector
class ViM(Detector):
    """a |R'(f - u)| - log sum_k exp(f_k): the virtual logit over the energy, which ranks as its softmax probability.

    u = -W^+ b is the point at which all logits of the last layer are nearest to 0, R the directions in which the fit
    images vary least around it, and a matches scales: mean largest logit over mean |R'(f - u)| of the fit images.

    Fitting passes twice over the images and holds D x D in float64: 0.1 GB for 2,048.
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
        self.origin = torch.empty(0, dtype=torch.float64)
        self.residual = torch.empty(0, 0, dtype=torch.float64)
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
        self.origin = -(torch.linalg.pinv(head.weight.double()) @ head.bias.double())  # (D,)
        moment, logits, images = torch.zeros(width, width, dtype=torch.float64), 0.0, 0
        for chunk in outputs:
            centred = self._centred(chunk)
            moment += (centred.T @ centred).to(moment.device)
            logits += float(self.read(chunk, "logits", finite=True).double().amax(dim=1).sum())
            images += len(chunk)
        if images <= principal:
            raise NotApplicableError(f"too few fit images ({images:,}; at least {principal + 1:,})")
        self.residual = torch.linalg.eigh(moment).eigenvectors[:, : width - principal].contiguous()  # (D, D - d)
        lengths = sum(float(self._residual_length(chunk).sum()) for chunk in outputs)
        if lengths <= torch.finfo(torch.float64).eps * float(moment.trace()) ** 0.5 * images:
            raise NotApplicableError(f"the {principal:,} principal directions explain the fit images wholly")
        if logits <= 0:
            raise NotApplicableError("the largest logits of the fit images are negative on average")
        self.scale, self.fit_images = logits / lengths, images
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Virtual logit minus log sum of exp of the logits, in float64; range: any real number."""
        return self.scale * self._residual_length(chunk) - self.read(chunk, "logits").double().logsumexp(dim=1)

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
        centred = self._centred(chunk)
        lengths: torch.Tensor = torch.linalg.vector_norm(centred @ self.residual.to(centred.device), dim=1)
        return lengths

    def _centred(self, chunk: Outputs) -> torch.Tensor:
        features = self.read(chunk, "features").double()
        if features.shape[1] != len(self.origin):
            raise ValueError(
                f"the features have {features.shape[1]:,} dimensions, but the last layer takes {len(self.origin):,}"
            )
        return features - self.origin.to(features.device)


def _principal(width: int) -> int:
    """Explained directions of features of that width.

    >>> [_principal(width) for width in (512, 767, 768, 2047, 2048)]
    [256, 383, 512, 512, 1000]
    """
    if width >= _WIDE:
        return 1000
    return 512 if width >= _MIDDLE else width // 2
