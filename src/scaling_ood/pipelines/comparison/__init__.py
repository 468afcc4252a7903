"""All benchmarks together: the paper's tables, our numbers beside the published ones."""

from scaling_ood.pipelines.comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]
