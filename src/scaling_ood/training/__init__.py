"""Training loops: module, images and loss in; states and history out."""

from scaling_ood.training.classification import (
    CrossEntropy,
    Objective,
    Recipe,
    Step,
    TrainingImages,
    TrainingState,
    train_classifiers,
)

__all__ = ["CrossEntropy", "Objective", "Recipe", "Step", "TrainingImages", "TrainingState", "train_classifiers"]
