"""MLflow around a `kedro run`: where the store is, what the parent run says, what a killed run leaves behind."""

from scaling_ood.tracking.entries import flatten_parameters
from scaling_ood.tracking.hooks import TrackingHooks

__all__ = ["TrackingHooks", "flatten_parameters"]
