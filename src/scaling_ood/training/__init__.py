"""Training loops: module, images and loss in; states and history out."""

from scaling_ood.training.classification import (
    Recipe,
    TrainingImages,
    TrainingState,
    train_classifiers,
)

__all__ = ["Recipe", "TrainingImages", "TrainingState", "train_classifiers"]
