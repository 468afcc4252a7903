"""Detectors: one method per file, found by name.

A new detector is a new file here with `@detector` on its class, and one line of YAML in a benchmark.
"""

from scaling_ood.detectors.base import (
    Detector,
    MissingOutputError,
    NonFiniteOutputError,
    NotApplicableError,
    Outputs,
    OutputsList,
    OutputsView,
    build_detector,
    detector,
    detector_class,
    detector_names,
)
from scaling_ood.detectors.head import LinearHead

__all__ = [
    "Detector",
    "LinearHead",
    "MissingOutputError",
    "NonFiniteOutputError",
    "NotApplicableError",
    "Outputs",
    "OutputsList",
    "OutputsView",
    "build_detector",
    "detector",
    "detector_class",
    "detector_names",
]
