"""MaxLogit of a classifier that also learned which way is up (Hendrycks et al. 2019; the paper, appendix A)."""

from __future__ import annotations

from scaling_ood.detectors.base import detector
from scaling_ood.detectors.max_logit import MaxLogit


@detector
class RotationMaxLogit(MaxLogit):
    """-max_k f_k, with f the logits of the rotation network; see `scaling_ood.training.rotation`.

    >>> RotationMaxLogit.network
    'rotation_network'
    """

    dense = False
    network = "rotation_network"
