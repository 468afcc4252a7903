"""Raw images to a manifest: which image plays which role, and is each of them readable?"""

from scaling_ood.pipelines.data_preparation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
