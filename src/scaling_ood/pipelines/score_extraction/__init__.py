"""Model and images to outputs, once; outputs to scores, once per detector."""

from scaling_ood.pipelines.score_extraction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
