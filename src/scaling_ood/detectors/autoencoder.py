"""Autoencoder (the paper, section 5, after Baur et al. 2019): what was never seen in training is rebuilt badly."""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.outputs import Outputs


@detector
class Autoencoder(Detector):
    """Reconstruction loss of the image, or of each pixel, averaged over the channels.

    The loss is that of a network of its own, which knows no classes.

    >>> Autoencoder().score(Outputs(reconstruction_error=torch.tensor([0.5]))).tolist()
    [0.5]
    """

    needs = frozenset({"reconstruction_error"})

    def score(self, chunk: Outputs) -> torch.Tensor:
        """The reconstruction loss, at least 0."""
        return self.read(chunk, "reconstruction_error")
