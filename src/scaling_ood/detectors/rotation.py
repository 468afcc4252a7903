"""Rotation (Hendrycks et al. 2019, "Using self-supervised learning ..."; the paper, appendix A): which way is up?

A second head of the classifier learns by how much an image was turned. It can tell for what it has seen in training.
"""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, Outputs, detector


@detector
class Rotation(Detector):
    """Cross-entropy of the rotation head, averaged over the four rotations of the image, in nats.

    Needs a classifier trained as in `scaling_ood.training.rotation`; learns nothing from fit images. What the paper
    reports of such a classifier is `msp` and `max_logit` on its logits.

    >>> Rotation().score(Outputs(torch.zeros(1, 3), rotation_loss=torch.tensor([0.5]))).tolist()
    [0.5]
    """

    needs = frozenset({"rotation_loss"})
    dense = False

    def __init__(self, with_posterior: bool = False) -> None:
        """Set whether KL[uniform || p], high for a confident classifier, is taken off, as Hendrycks et al. do."""
        if not isinstance(with_posterior, bool):
            raise ValueError(f"with_posterior must be true or false, not {with_posterior!r}")
        self.with_posterior = with_posterior
        self.needs = frozenset({"rotation_loss", "logits"} if with_posterior else {"rotation_loss"})

    def score(self, chunk: Outputs) -> torch.Tensor:
        """The rotation loss, at least 0; any real number with the posterior."""
        loss = self.read(chunk, "rotation_loss")
        if not self.with_posterior:
            return loss
        logits = self.read(chunk, "logits").double()
        uniform = logits.logsumexp(dim=1) - logits.mean(dim=1) - torch.tensor(logits.shape[1]).double().log()
        return loss - uniform
