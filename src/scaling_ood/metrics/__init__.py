"""Exact ranking metrics of anomaly scores of images and pixels, their intervals, and tests of differences."""

from scaling_ood.metrics.confusion import ConfusionMatrix
from scaling_ood.metrics.dispersal import arbitrary_groups, dispersal
from scaling_ood.metrics.estimates import (
    DetectionEstimates,
    DetectionIntervals,
    Estimate,
    Interval,
    detection_estimates,
    mean_interval,
    mean_over_scenes,
    metric_intervals,
    tpr_estimate,
)
from scaling_ood.metrics.mean_average_precision import (
    AVERAGING_RULES,
    AveragingRule,
    MeanAveragePrecision,
    average_precision,
    mean_average_precision,
)
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
    tpr_at_fpr,
)
from scaling_ood.metrics.significance import (
    MetricName,
    TooFewImagesError,
    bootstrap_replicates,
    delong_covariance,
    tied_estimates,
    tied_with_best,
)

__all__ = [
    "AVERAGING_RULES",
    "AveragingRule",
    "ConfusionMatrix",
    "DetectionEstimates",
    "DetectionIntervals",
    "DetectionMetrics",
    "Estimate",
    "FprRule",
    "Frame",
    "ImageResult",
    "Interval",
    "MeanAveragePrecision",
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
    "average_precision",
    "bootstrap_replicates",
    "delong_covariance",
    "detection_estimates",
    "detection_metrics",
    "dispersal",
    "image_metrics",
    "mean_average_precision",
    "mean_interval",
    "mean_over_scenes",
    "metric_intervals",
    "pooled_metrics",
    "roc_curve_points",
    "tied_estimates",
    "tied_with_best",
    "tpr_at_fpr",
    "tpr_estimate",
]
