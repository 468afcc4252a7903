"""Which network a detector for pixels reads.

Most read the segmenter, whose one forward pass feeds them all. A detector whose scores come from a network that learned
something else has that network trained and run in its own namespace.
"""

from __future__ import annotations

from typing import Any

from scaling_ood.detectors import build_detector

SHARED = ""
"""The segmenter."""

CONFIDENCE = "confidence_branch"
"""A segmenter with a second head that learns how sure the first one is."""

AUTOENCODER = "autoencoder"
"""A network that rebuilds scenes."""

_MADE = {
    SHARED: frozenset({"logits", "posterior_variance"}),
    CONFIDENCE: frozenset({"confidence"}),
    AUTOENCODER: frozenset({"reconstruction_error"}),
}


def network_of(detector: str, options: dict[str, Any]) -> str:
    """Kind of the network whose outputs a detector reads.

    >>> network_of("autoencoder", {}), network_of("msp", {})
    ('autoencoder', '')
    """
    needs = build_detector(detector, **options).needs
    return next((kind for kind, fields in _MADE.items() if kind and needs & fields), SHARED)


def made_by(kind: str) -> frozenset[str]:
    """All outputs that the networks of a kind can leave."""
    return _MADE[kind]
