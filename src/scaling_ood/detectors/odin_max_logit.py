"""ODIN with MaxLogit (the paper, appendix A): the largest logit of the perturbed image."""

from __future__ import annotations

import torch

from scaling_ood.detectors.base import Detector, Outputs, detector


@detector
class ODINMaxLogit(Detector):
    """-max_k g_k, with g the logits of the perturbed image, see `scaling_ood.detectors.odin.perturbed_logits`.

    The temperature only shapes the perturbation: dividing all logits by it would not change the ranking.

    >>> ODINMaxLogit().score(Outputs(torch.zeros(1, 2), odin_logits=torch.tensor([[1.0, 3.0]]))).tolist()
    [-3.0]
    """

    needs = frozenset({"odin_logits"})

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Negative maximum over the classes; range: any real number."""
        return -self.read(chunk, "odin_logits").amax(dim=1)
