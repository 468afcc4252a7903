"""KL matching (the paper, appendix A): distance to the nearest class's typical posterior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.largest import place_of_largest
from scaling_ood.detectors.log_sums import exp_
from scaling_ood.detectors.outputs import Outputs, OutputsView
from scaling_ood.detectors.products import times

_ROWS = 128
"""Images at a time: what is computed of them in float64 stays in the processor's cache."""
MINIMUM_IMAGES_PER_CLASS = 5
_ROUNDING = 1e-5
"""Relative, of a product in single precision: a sum of terms that all have the same sign."""


@detector
class KLMatching(Detector):
    """min_k KL[p(y|x) || d_k], with d_k the mean posterior of the fitting images that are *predicted* as class k.

    No label is used. Classes that no fitting image is predicted as have no template. Written as
    sum_y p log p - max_k sum_y p log d_k, all templates are compared by one matrix product.

    For the images that match a template the two terms nearly cancel. So the product, in single precision, only says
    which template is the nearest. The divergence from that one is added up in float64, and so are those from all
    templates where the product cannot tell which is nearer.

    The template sums become the templates in place, so that C x C numbers are held once in float64 and once in single
    precision, and twice for a moment where a class has no template; besides them there are three arrays of `chunk_rows`
    x C. See `docs/detectors.md` for 11,221 classes.
    """

    dense = False

    def __init__(self, chunk_rows: int = 1024) -> None:
        """Set how many images are compared at once; changes memory, not the scores."""
        if not (isinstance(chunk_rows, int) and chunk_rows >= 1):
            raise ValueError(f"chunk_rows must be an integer of at least 1, not {chunk_rows!r}")
        self.chunk_rows = chunk_rows
        self.log_templates = torch.empty(0, 0, dtype=torch.float64)
        self.search = torch.empty(0, 0)
        self.images_per_template = torch.empty(0, dtype=torch.int64)
        self.classes = 0

    def fit(self, outputs: OutputsView) -> Self:
        """Average the posteriors by predicted class.

        Raises:
            NotApplicableError: Under 5 fitting images per class on average: templates of one or two images are those
                images, and the score would measure the distance to the nearest photograph.
        """
        sums = counts = None
        for logits in (rows for chunk in outputs for rows in self._split(chunk, finite=True)):
            posteriors = logits.double().softmax(dim=1)  # (N, C)
            if sums is None or counts is None:
                self.classes = posteriors.shape[1]
                sums = torch.zeros(self.classes, self.classes, dtype=torch.float64, device=posteriors.device)
                counts = torch.zeros(self.classes, dtype=torch.int64, device=posteriors.device)
            predicted = posteriors.argmax(dim=1)
            sums.index_add_(0, predicted, posteriors)
            counts += torch.bincount(predicted, minlength=self.classes)
        if sums is None or counts is None:
            raise NotApplicableError("too few fit images (none)")
        images, filled = int(counts.sum()), counts > 0
        if images < MINIMUM_IMAGES_PER_CLASS * self.classes:
            raise NotApplicableError(
                f"too few fit images ({images:,} images fill {int(filled.sum()):,} of {self.classes:,} templates; "
                f"at least {MINIMUM_IMAGES_PER_CLASS} per class on average)"
            )
        self.images_per_template = counts[filled]
        templates = sums if bool(filled.all()) else sums[filled]  # (K, C)
        templates /= self.images_per_template[:, None]
        self.log_templates = templates.clamp_min_(torch.finfo(torch.float64).tiny).log_()
        self.search = self.log_templates.float()
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """KL divergence to the nearest template, in nats, at least 0 up to rounding."""
        return torch.cat([self._nearest(logits) for logits in self._split(chunk)])

    def _split(self, chunk: Outputs, finite: bool = False) -> Sequence[torch.Tensor]:
        return torch.split(self.read(chunk, "logits", finite=finite), self.chunk_rows)

    def _nearest(self, logits: torch.Tensor) -> torch.Tensor:
        # Posteriors in single precision do to search.
        likeness = times(logits.softmax(dim=1).float(), self.search.T)  # (N, K), at most 0
        which = place_of_largest(likeness)[:, None]
        best = likeness.gather(1, which)
        second = likeness.scatter_(1, which, -torch.inf).amax(dim=1, keepdim=True)
        close = (best - second <= _ROUNDING * best.abs().clamp_min(1e-30))[:, 0]
        strips = zip(torch.split(logits, _ROWS), torch.split(which[:, 0], _ROWS), strict=True)
        found = torch.cat([self._divergence(rows, mine) for rows, mine in strips])
        if bool(close.any()):
            own = logits[close].double().log_softmax(dim=1)
            posterior = own.exp()
            products = posterior @ self.log_templates.T
            found[close] = own.mul_(posterior).sum(dim=1) - products.amax(dim=1)
        return found

    def _divergence(self, logits: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """KL divergence of the posteriors to one template each, (N,) float64."""
        wide = logits.double()
        below = wide - wide.amax(dim=1, keepdim=True)
        mass = exp_(below.clone())
        total = mass.sum(dim=1)
        # 0 log 0 = 0: a posterior that underflows to 0 has a finite logarithm here, so the product is 0 by itself.
        apart = below.sub_(self.log_templates[which])
        found: torch.Tensor = torch.linalg.vecdot(mass, apart)
        return found.div_(total).sub_(total.log())

    def diagnostics(self) -> dict[str, float]:
        """How many classes have a template, and of how many images."""
        return {
            "templates": float(len(self.images_per_template)),
            "templates_share": len(self.images_per_template) / self.classes,
            "images_per_template_mean": float(self.images_per_template.double().mean()),
            "images_per_template_min": float(self.images_per_template.min()),
        }
