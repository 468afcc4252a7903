"""Ranking metrics of all pixels of a set of frames together, exact, without holding the frames.

The metrics change only where a pixel of the positive class lies. A first pass over the frames collects those scores, a
second counts the other pixels between them. With OOD as the positive class the memory is that of the anomalous pixels,
under 1 % of street scenes, and does not grow with the number of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_ood.metrics.estimates import DetectionEstimates, Estimate, scene_estimates, scene_tpr
from scaling_ood.metrics.pixels import PositiveClass, metrics_of, split_classes
from scaling_ood.metrics.places import Found, Places, Tally
from scaling_ood.metrics.ranking import (
    FALSE_ALARMS,
    DetectionMetrics,
    FprRule,
    OneClassError,
    RankCounts,
    count_above,
    distinct_scores,
)

_MARKS = 1024

COUNTED = ("pixels", "reached", "equal", "positive_at_marks", "negative_at_marks")
"""What `PooledCounts.arrays` may give."""

Frame = tuple[ArrayLike, ArrayLike, ArrayLike]
"""`score, is_ood, valid` of one image, of the same shape; see `image_metrics`."""


class PooledThresholds:
    """First pass: every score of the positive class.

    Holds these scores once, in single precision unless they are double; `counts` needs 40 bytes for each of them for a
    moment, 56 in double precision.
    """

    def __init__(self, positive_class: PositiveClass = "ood") -> None:
        """Start empty."""
        self.positive_class = positive_class
        self.parts: list[NDArray[Any]] = []

    def add(self, score: ArrayLike, is_ood: ArrayLike, valid: ArrayLike, image: str = "") -> None:
        """Collect from one frame; arguments and errors as in `image_metrics`."""
        self.take(split_classes(score, is_ood, valid, self.positive_class, image)[0])

    def take(self, positive: NDArray[Any]) -> None:
        """Collect scores of the positive class, as `split_classes` gives them."""
        if positive.size:
            self.parts.append(positive)

    def merge(self, other: PooledThresholds) -> None:
        """Take over what another process collected from other frames."""
        if other.positive_class != self.positive_class:
            raise ValueError(f"Other positive class: {self.positive_class} here, {other.positive_class} there.")
        self.parts += other.parts

    def counts(self, *, by_image: bool = False) -> PooledCounts:
        """The second pass, at its start; each process takes one. `by_image` for `PooledCounts.estimates`."""
        scores = np.concatenate(self.parts) if self.parts else np.empty(0, np.float32)
        return PooledCounts(*distinct_scores(scores), self.positive_class, by_image=by_image)


class Placed(NamedTuple):
    """Where the pixels of one frame lie among the thresholds: what `PooledCounts.take` adds up."""

    n_positive: int
    n_negative: int
    found: Found
    """What `Places.find` found of the negative class."""
    by_mark: tuple[NDArray[np.int64], NDArray[np.int64]] | None
    """Pixels of the positive and of the negative class by the marks that they reach, if images are counted apart."""
    alone: RankCounts | None
    """What the metrics of this frame by itself follow from; None where a class has no pixel."""


class PooledCounts:
    """Second pass: how many pixels of the other class lie above each distinct score of the positive class.

    Holds 28 bytes per distinct score of single precision, 32 of double, and a table of at most 48 MB that leads to
    fewer than a million of them. A frame that is looked up takes up to 45 bytes a pixel, and what was found up to 15
    until it is taken. `metrics` needs 90 bytes per distinct score for a moment. The six million anomalous pixels of
    BDD-Anomaly: 170 MB while counting, 0.6 GB at the end. With `by_image` 16 KB for each image more, whatever its size.
    `place` only reads, so that several threads can work on frames, and one takes what they found.

    Attributes:
        thresholds: (K,) distinct scores of the positive class, ascending; negated for `"in_dist"`.
        positive_at: (K,) how many pixels of the positive class have that score.
        images: Image to its pixels of the positive and of the other class at about a thousand of the thresholds.
    """

    def __init__(
        self,
        thresholds: NDArray[Any],
        positive_at: NDArray[np.int64],
        positive_class: PositiveClass = "ood",
        *,
        by_image: bool = False,
    ) -> None:
        """Start with no pixel counted."""
        self.positive_at, self.positive_class = positive_at, positive_class
        self.n_negative = self.n_positive = 0
        self.images: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self._marks = _some_of(positive_at) if by_image and thresholds.size else None
        self._places, self._tally = Places(thresholds), Tally(thresholds.size)

    @property
    def thresholds(self) -> NDArray[Any]:
        """(K,) distinct scores of the positive class, ascending; negated for `"in_dist"`."""
        return self._places.thresholds

    def add(self, score: ArrayLike, is_ood: ArrayLike, valid: ArrayLike, image: str = "") -> None:
        """Count one frame; arguments and errors as in `image_metrics`."""
        self.take(self.place(*split_classes(score, is_ood, valid, self.positive_class, image)), image)

    def place(self, positive: NDArray[Any], negative: Any) -> Placed:
        """Where the pixels of one frame lie, of the scores that `split_classes` gave; negative ones may be on a GPU."""
        found, by_mark = self._places.find(negative), None
        own, own_at = distinct_scores(positive)
        if self._marks is not None:
            below = np.append(0, np.cumsum(own_at))[np.searchsorted(own, self.thresholds[self._marks])]
            reached = np.concatenate([[len(negative)], found.tails(self._marks)[1], [0]])
            by_mark = np.diff(below, append=len(positive)), -np.diff(reached)
        alone = None
        if len(positive) and len(negative):
            # A frame's thresholds are some of those of all frames, so that one look-up serves both.
            at = self._places.index_of(own) if own.size <= len(negative) else None
            tails = count_above(negative, own) if at is None else found.tails(at)
            alone = RankCounts(len(negative), own_at, *tails)
        return Placed(len(positive), len(negative), found, by_mark, alone)

    def take(self, placed: Placed, image: str = "") -> None:
        """Count one frame.

        Raises:
            ValueError: It was counted before.
        """
        self.n_positive += placed.n_positive
        self.n_negative += placed.n_negative
        self._tally.add(placed.found)
        if placed.by_mark is not None and (placed.n_positive or placed.n_negative):
            if image in self.images:
                raise ValueError(f"Image {image!r} was counted before; its pixels would count twice.")
            self.images[image] = placed.by_mark

    def merge(self, other: PooledCounts) -> None:
        """Add what another process counted in other frames.

        Raises:
            ValueError: Its thresholds are not these.
        """
        same = self.positive_class == other.positive_class and np.array_equal(self.thresholds, other.thresholds)
        if not (same and np.array_equal(self.positive_at, other.positive_at)):
            raise ValueError("Counts at different thresholds cannot be merged: both need the same first pass.")
        self.n_negative += other.n_negative
        self.n_positive += other.n_positive
        self._tally.merge(other._tally)
        self.images |= other.images

    def fresh(self) -> PooledCounts:
        """The same thresholds with no pixel counted: for some of the frames, whose counts are merged later."""
        other = copy(self)
        other.n_negative = other.n_positive = 0
        other.images, other._tally = {}, Tally(self.thresholds.size)
        return other

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """What was counted, as `holding` takes it: pixels of both classes, histograms, and images in their order."""
        reached, equal = self._tally.here()
        pixels = np.array([self.n_positive, self.n_negative])
        at_marks = [np.stack(each) for each in zip(*self.images.values(), strict=True)]
        return dict(zip(COUNTED, [pixels, reached, equal, *at_marks], strict=False))

    def holding(self, arrays: Mapping[str, NDArray[Any]], images: Sequence[str]) -> PooledCounts:
        """The same thresholds with what another process has counted; `images` are the names of those, in order."""
        other = self.fresh()
        other.n_positive, other.n_negative = arrays["pixels"].tolist()
        other._tally.reached, other._tally.equal = (arrays[name].astype(np.int64) for name in ("reached", "equal"))
        if images:
            at_marks = zip(arrays["positive_at_marks"], arrays["negative_at_marks"], strict=True)
            other.images = dict(zip(images, at_marks, strict=True))
        return other

    @property
    def n_in(self) -> int:
        """In-distribution pixels counted."""
        return self.n_negative if self.positive_class == "ood" else self.n_positive

    @property
    def n_ood(self) -> int:
        """OOD pixels counted."""
        return self.n_positive if self.positive_class == "ood" else self.n_negative

    def metrics(self, recall: float = 0.95, fpr_rule: FprRule = "nearest") -> DetectionMetrics:
        """The metrics of all pixels together, as `detection_metrics` gives them for the concatenation.

        Raises:
            ValueError: The second pass saw other pixels of the positive class than the first.
            OneClassError: One class has no pixel.
        """
        return metrics_of(self._counts(), recall, fpr_rule)

    def _counts(self) -> RankCounts:
        expected = int(self.positive_at.sum())
        if self.n_positive != expected:
            raise ValueError(
                f"The two passes saw different frames: {expected:,} pixels of the positive class "
                f"({self.positive_class}) in the first, {self.n_positive:,} in the second."
            )
        if not (self.n_in and self.n_ood):
            raise OneClassError(self.n_in, self.n_ood)
        return RankCounts(self.n_negative, self.positive_at, *self._tally.tails())

    def tpr(self, rate: float = FALSE_ALARMS) -> float:
        """Share of the OOD pixels that are caught with at most that share of false alarms, see `tpr_at_fpr`.

        Raises:
            ValueError: As `metrics`.
        """
        return float(self._counts().tpr(rate, mirrored=self.positive_class == "in_dist"))

    def estimates(self, recall: float = 0.95, fpr_rule: FprRule = "nearest") -> DetectionEstimates:
        """The metrics, with intervals that follow from how much the images differ; needs `by_image`.

        The values are exact. What an image contributes is counted at about a thousand of the thresholds, evenly spread
        over the pixels of the positive class and densely over the highest; scores between two of them count as equal.

        Raises:
            ValueError: As `metrics`, or the images were not counted apart.
            OneClassError: One class has no pixel.
        """
        found = self.metrics(recall, fpr_rule)
        return scene_estimates(found, *self._by_image(), recall, fpr_rule)

    def tpr_estimate(self, rate: float = FALSE_ALARMS) -> Estimate:
        """`tpr` with an interval, as `estimates`; the same errors."""
        found = self.tpr(rate)
        return scene_tpr(found, *self._by_image(), rate, mirrored=self.positive_class == "in_dist")

    def _by_image(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pixels of the positive and of the other class by image and place."""
        if not self.images:
            raise ValueError("Images were not counted apart: start the second pass with counts(by_image=True).")
        names = sorted(self.images)
        positive, negative = (np.stack([self.images[name][kind] for name in names]) for kind in (0, 1))
        return positive, negative


def pooled_metrics(
    frames: Callable[[], Iterator[Frame]],
    *,
    positive_class: PositiveClass = "ood",
    recall: float = 0.95,
    fpr_rule: FprRule = "nearest",
) -> DetectionMetrics:
    """Metrics of all pixels of a set of frames together, in two passes over it.

    Args:
        frames: Starts a pass: yields `score, is_ood, valid` of each frame, as in `image_metrics`. It is called twice
            and must give the same scores both times.
        positive_class: With `"in_dist"`, the memory is that of the in-distribution pixels.
        recall: See `detection_metrics`.
        fpr_rule: See `detection_metrics`.

    Raises:
        ValueError: The passes differ; otherwise the errors of `image_metrics`, which name the frame's number.
        OneClassError: One class has no pixel in any frame.

    >>> frame = np.array([0.1, 0.9, 0.7]), np.array([False, False, True]), np.array([True, True, True])
    >>> pooled_metrics(lambda: iter([frame, frame])).auroc
    0.5
    """
    first = PooledThresholds(positive_class)
    for index, frame in enumerate(frames()):
        first.add(*frame, image=f"frame {index}")
    counts = first.counts()
    del first
    for index, frame in enumerate(frames()):
        counts.add(*frame, image=f"frame {index}")
    return counts.metrics(recall, fpr_rule)


def _some_of(positive_at: NDArray[np.int64]) -> NDArray[np.intp]:
    """Which thresholds to count images at: the lowest, as many evenly by their pixels, as many by the logarithm."""
    if positive_at.size <= _MARKS:
        return np.arange(positive_at.size)
    at_least = np.cumsum(positive_at[::-1])
    wanted = np.concatenate([np.linspace(1, at_least[-1], _MARKS // 2), np.geomspace(1, at_least[-1], _MARKS // 2)])
    from_top = np.append(np.searchsorted(at_least, np.floor(wanted)), positive_at.size - 1)
    return np.unique(positive_at.size - 1 - np.minimum(from_top, positive_at.size - 1))
