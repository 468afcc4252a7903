"""MSP of a classifier that also learned which way is up (Hendrycks et al. 2019; the paper, appendix A)."""

from __future__ import annotations

from scaling_ood.detectors.base import detector
from scaling_ood.detectors.msp import MSP


@detector
class RotationMSP(MSP):
    """-log max_k p_k, with p the posterior of the rotation network; see `scaling_ood.training.rotation`.

    >>> RotationMSP.network
    'rotation_network'
    """

    dense = False
    network = "rotation_network"

    def __init__(self) -> None:
        """There is nothing to set."""
        super().__init__()
