"""Scores to metrics; metrics to tables, figures, the report and tracked runs."""

from scaling_ood.pipelines.metric_reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
