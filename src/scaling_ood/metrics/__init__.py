"""Exact ranking metrics of anomaly scores of images and pixels, and the tests that tell a difference from chance."""

from scaling_ood.metrics.confusion import ConfusionMatrix
from scaling_ood.metrics.dispersal import arbitrary_groups, dispersal
from scaling_ood.metrics.pixels import (
    ImageResult,
    NothingToAverageError,
    PerImageMean,
    PositiveClass,
    image_metrics,
)
from scaling_ood.metrics.pooled import Frame, PooledCounts, PooledThresholds, pooled_metrics
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
    "ConfusionMatrix",
    "DetectionMetrics",
    "FprRule",
    "Frame",
    "ImageResult",
    "MetricName",
    "NonFiniteScoreError",
    "NothingToAverageError",
    "OneClassError",
    "PerImageMean",
    "PooledCounts",
    "PooledThresholds",
    "PositiveClass",
    "RocCurve",
    "TooFewImagesError",
    "arbitrary_groups",
    "bootstrap_replicates",
    "delong_covariance",
    "detection_metrics",
    "dispersal",
    "image_metrics",
    "pooled_metrics",
    "roc_curve_points",
    "tied_with_best",
]
