"""How good the segmenter itself is: intersection over union and pixel accuracy, streamed over frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ConfusionMatrix:
    """Counts of pixels by true and predicted class; holds C x C integers whatever the number of frames.

    Attributes:
        counts: (C, C) pixels; the row is the true class, the column the predicted one.

    >>> matrix = ConfusionMatrix(2)
    >>> matrix.add([[0, 1], [1, 1]], [[0, 0], [1, 255]], [[True, True], [True, False]])
    >>> matrix.iou().tolist(), matrix.mean_iou(), round(matrix.pixel_accuracy(), 4)
    ([0.5, 0.5], 0.5, 0.6667)
    """

    def __init__(self, classes: int) -> None:
        """Start with no pixel counted; classes are 0..classes-1."""
        if classes < 1:
            raise ValueError(f"classes must be at least 1, got {classes}.")
        self.counts: NDArray[np.int64] = np.zeros((classes, classes), dtype=np.int64)

    def add(self, predicted: ArrayLike, label: ArrayLike, valid: ArrayLike) -> None:
        """Count one frame.

        Args:
            predicted: (H, W) integers, 0..C-1.
            label: (H, W) integers, 0..C-1 wherever the pixel is valid.
            valid: (H, W) booleans: False for void and for anomalies, which have no true class.

        Raises:
            TypeError: Predictions or labels are not integers, or `valid` is not boolean.
            ValueError: The shapes differ, or a valid pixel has a class out of range; names the ids.
        """
        arrays = np.asarray(predicted), np.asarray(label), np.asarray(valid)
        _check(*arrays)
        true, guess = arrays[1][arrays[2]], arrays[0][arrays[2]]
        classes = len(self.counts)
        for what, ids in (("label", true), ("predicted", guess)):
            if ids.size and not 0 <= ids.min() <= ids.max() < classes:
                outside = np.unique(ids[(ids < 0) | (ids >= classes)]).tolist()
                raise ValueError(f"{what} must lie in 0..{classes - 1}, but valid pixels have {outside}.")
        pairs = true.astype(np.int64) * classes + guess.astype(np.int64)
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the counts of other frames, as another process made them."""
        if len(other.counts) != len(self.counts):
            raise ValueError(f"Other number of classes: {len(self.counts)} here, {len(other.counts)} there.")
        self.counts += other.counts

    def iou(self) -> NDArray[np.float64]:
        """(C,) true positives over all pixels that are or are called the class; NaN for a class that is neither."""
        hits = self.counts.diagonal()
        union = self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits
        return np.where(union > 0, hits / np.maximum(union, 1), np.nan)

    def mean_iou(self) -> float:
        """Unweighted mean over the classes that occur, in the labels or in the predictions.

        A class that occurs in neither is left out, as in torchmetrics; the training code behind the paper's
        segmenters counts it as 0.

        Raises:
            ValueError: No pixel was counted.
        """
        self._refuse_empty()
        return float(np.nanmean(self.iou()))

    def pixel_accuracy(self) -> float:
        """Share of the valid pixels whose class is predicted.

        Raises:
            ValueError: No pixel was counted.
        """
        self._refuse_empty()
        return float(self.counts.trace() / self.counts.sum())

    def _refuse_empty(self) -> None:
        if not self.counts.any():
            raise ValueError("No valid pixel was counted, so IoU and pixel accuracy are not defined.")


def _check(predicted: NDArray[np.generic], label: NDArray[np.generic], valid: NDArray[np.generic]) -> None:
    """Refuse other shapes and types than `ConfusionMatrix.add` asks for."""
    if not predicted.shape == label.shape == valid.shape:
        raise ValueError(
            f"predicted, label and valid must have the same shape, got {predicted.shape}, {label.shape}, {valid.shape}."
        )
    for what, array in (("predicted", predicted), ("label", label)):
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"{what} must hold integer class ids, got {array.dtype}.")
    if valid.dtype != np.bool_:
        raise TypeError(f"valid must be boolean, got {valid.dtype}.")
