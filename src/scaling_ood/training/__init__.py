"""Trainings: module, images and loss in; states and history out."""

from scaling_ood.training.loop import BestEpoch, DivergedError, Lesson, Recipe, ResumableState, Training, train

__all__ = ["BestEpoch", "DivergedError", "Lesson", "Recipe", "ResumableState", "Training", "train"]
