"""Packaging: a network, its detector and a threshold as a model to be served; runs only by name."""

from scaling_ood.pipelines.packaging.pipeline import create_pipeline

__all__ = ["create_pipeline"]
