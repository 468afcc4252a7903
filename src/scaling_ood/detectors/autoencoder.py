"""Autoencoder (the paper, section 5, after Baur et al. 2019): what was never seen in training is rebuilt badly."""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, Outputs, detector


@detector
class Autoencoder(Detector):
    """Reconstruction loss of the image, or of each pixel, averaged over the channels.

    The loss is that of a network of its own, which knows no classes: its outputs have logits (N, 0, ...).

    >>> Autoencoder().score(Outputs(torch.empty(1, 0), reconstruction_error=torch.tensor([0.5]))).tolist()
    [0.5]
    """

    needs = frozenset({"reconstruction_error"})
    network = "autoencoder"

    def score(self, chunk: Outputs) -> torch.Tensor:
        """The reconstruction loss, at least 0."""
        return self.read(chunk, "reconstruction_error")
