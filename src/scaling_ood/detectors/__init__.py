"""Detectors: one method per file, found by name.

A new detector is a new file here with `@detector` on its class, and one line of YAML in a benchmark. What it reads that
no network gives by itself is a `Need`, in the same file.
"""

from scaling_ood.detectors.base import (
    Detector,
    NotApplicableError,
    build_detector,
    detector,
    detector_class,
    detector_names,
    on_need,
    refuse_network,
)
from scaling_ood.detectors.head import LinearHead
from scaling_ood.detectors.needs import FeatureMap, Given, Need, Network, field_of, name_of
from scaling_ood.detectors.outputs import MissingOutputError, NonFiniteOutputError, Outputs, OutputsList, OutputsView

__all__ = [
    "Detector",
    "FeatureMap",
    "Given",
    "LinearHead",
    "MissingOutputError",
    "Need",
    "Network",
    "NonFiniteOutputError",
    "NotApplicableError",
    "Outputs",
    "OutputsList",
    "OutputsView",
    "build_detector",
    "detector",
    "detector_class",
    "detector_names",
    "field_of",
    "name_of",
    "on_need",
    "refuse_network",
]
