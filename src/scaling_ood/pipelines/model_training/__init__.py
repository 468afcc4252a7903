"""Manifest to model: trained where the benchmark trains one, verified where it takes a published one."""

from scaling_ood.pipelines.model_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
