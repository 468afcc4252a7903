"""Runs that MLflow could not take while they were made, sent later."""

from scaling_ood.pipelines.upload.pipeline import create_pipeline

__all__ = ["create_pipeline"]
