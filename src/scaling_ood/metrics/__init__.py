"""Exact ranking metrics of anomaly scores, and the tests that tell a difference from chance."""

from scaling_ood.metrics.dispersal import arbitrary_groups, dispersal
from scaling_ood.metrics.ranking import (
    DetectionMetrics,
    FprRule,
    NonFiniteScoreError,
    OneClassError,
    RocCurve,
    detection_metrics,
    roc_curve_points,
)
from scaling_ood.metrics.significance import (
    MetricName,
    TooFewImagesError,
    bootstrap_replicates,
    delong_covariance,
    tied_with_best,
)

__all__ = [
    "DetectionMetrics",
    "FprRule",
    "MetricName",
    "NonFiniteScoreError",
    "OneClassError",
    "RocCurve",
    "TooFewImagesError",
    "arbitrary_groups",
    "bootstrap_replicates",
    "delong_covariance",
    "detection_metrics",
    "dispersal",
    "roc_curve_points",
    "tied_with_best",
]
