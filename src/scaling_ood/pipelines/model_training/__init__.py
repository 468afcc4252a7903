"""Networks: trained here, or taken as they are published or provided."""

from scaling_ood.pipelines.model_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
