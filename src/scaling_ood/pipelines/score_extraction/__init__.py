"""Networks to outputs, outputs to scores."""

from scaling_ood.pipelines.score_extraction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
