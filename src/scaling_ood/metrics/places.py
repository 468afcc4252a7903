"""Where many scores lie among ascending thresholds, exactly, without sorting the scores.

A frame has a million pixels, and each has its place among the scores of all anomalous pixels of a data set. Sorting
the pixels and looking each up takes longer than making their scores. So a table leads from a coarse position of a score
to the first threshold near it, and a few comparisons do the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_OCTAVES = 24
_FEWEST_BITS, _MOST_BITS = 12, 22
# Comparisons of neighbours in the table's bucket; scores in a bucket with as many thresholds are looked up one by one.
_CROWD = 16
# Scores at a time, whose temporary arrays stay in a processor's cache.
_CHUNK = 1 << 15


class Places:
    """Ascending distinct thresholds without NaN, and a table that leads to them.

    Holds a copy of the thresholds, and 5 bytes for each entry of a table, two to seven times as many as there are
    thresholds, at most 7 million.

    Attributes:
        thresholds: (K,).
    """

    def __init__(self, thresholds: NDArray[Any], marks: NDArray[np.intp] | None = None) -> None:
        """Make the table, or none where the range of the thresholds does not allow one; `marks` for `by_mark`."""
        kind = np.result_type(thresholds, np.float32)
        # NaN, which equals no score, before the first; and what no score reaches behind the last.
        self._padded = np.concatenate([[np.nan], thresholds, np.full(_CROWD, np.nan)]).astype(kind)
        self._bits = int(np.clip(int(thresholds.size).bit_length() + 1, _FEWEST_BITS, _MOST_BITS))
        self._bucket = self._mapped(kind)
        self._on_device: dict[str, Any] = {}
        if marks is not None:
            gaps = np.diff(marks + 1, prepend=0, append=thresholds.size + 1)
            self._level = np.repeat(np.arange(gaps.size, dtype=np.int16), gaps)
        if self._bucket is not None:
            parts = range(0, thresholds.size, _CHUNK)
            own = np.concatenate([self._bucket(self.thresholds[start : start + _CHUNK]) for start in parts])
            size = np.bincount(own, minlength=(1 << self._bits) + (_OCTAVES << (self._bits - 5)))
            self._first = (np.cumsum(size) - size).astype(np.int32)
            self._size = np.minimum(size, _CROWD).astype(np.uint8)

    @property
    def thresholds(self) -> NDArray[Any]:
        """(K,), ascending."""
        return self._padded[1 : self._padded.size - _CROWD]

    def find(self, scores: Any) -> tuple[Any, Any]:
        """How many thresholds each score reaches, and whether it equals the highest of these; in any order.

        Args:
            scores: (n,) without NaN, of the thresholds' type; a tensor of a GPU is looked up there.

        Returns:
            Integers from 0 to K, and booleans, (n,), where the scores are.
        """
        if not isinstance(scores, np.ndarray):
            return self._find_on_device(scores)
        if self._bucket is None or scores.dtype != self._padded.dtype:
            return self._look_up(np.sort(scores))
        parts = [self._near(scores[start : start + _CHUNK]) for start in range(0, scores.size, _CHUNK)]
        places, equal = zip(*parts, strict=True) if parts else ((np.empty(0, np.int32),), (np.empty(0, np.bool_),))
        return np.concatenate(places), np.concatenate(equal)

    def _look_up(self, ordered: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        # In order, neighbouring look-ups share their path: nine times as fast among six million thresholds.
        places = np.searchsorted(self.thresholds, ordered, "right")
        return places, self._padded.take(places) == ordered

    def _near(self, scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        assert self._bucket is not None
        bucket = self._bucket(scores)
        places, size = self._first.take(bucket), self._size.take(bucket)
        # Half of what may be left at a time. Where a bucket ends is of no account: thresholds behind it are higher.
        step = 1 << int(size.max()).bit_length() >> 1
        while step:
            places += np.int32(step) * (self._padded.take(places + step) <= scores)
            step >>= 1
        if (crowded := np.flatnonzero(size == _CROWD)).size:
            places[crowded] = np.searchsorted(self.thresholds, scores[crowded], "right")
        return places, self._padded.take(places) == scores

    def by_mark(self, places: Any) -> NDArray[np.int64]:
        """Of found places: how many reach none of the M marks, one, ..., all of them, (M + 1,)."""
        marks = int(self._level[-1])
        if isinstance(places, np.ndarray):
            return np.bincount(self._level.take(places), minlength=marks + 1)
        return np.asarray(self._there("level", self._level, places)[places].bincount(minlength=marks + 1).cpu())

    def _find_on_device(self, scores: Any) -> tuple[Any, Any]:
        import torch

        padded = self._there("padded", self._padded, scores)
        places = torch.searchsorted(padded[1 : len(padded) - _CROWD], scores, right=True)
        return places, padded[places] == scores

    def _there(self, name: str, array: NDArray[Any], beside: Any) -> Any:
        """An array as a tensor where another one is; copied once."""
        import torch

        if name not in self._on_device:
            self._on_device[name] = torch.as_tensor(array, device=beside.device)
        return self._on_device[name]

    def _mapped(self, kind: np.dtype[Any]) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
        """Map scores to buckets without reversing any order, or None if the range does not allow it.

        The number is the sum of a linear and a logarithmic position of the distance to the lowest threshold: the first
        tells spread-out logits apart, the second softmax probabilities crowded at one end. Rounding is harmless, since
        subtracting, clipping, scaling, truncating, and reading the bits of a positive float as an integer keep the
        order.
        """
        finite = self.thresholds[np.isfinite(self.thresholds)]
        if kind not in (np.float32, np.float64) or not finite.size:
            return None
        whole = np.int32 if kind == np.float32 else np.int64
        shift = np.finfo(kind).nmant - (self._bits - 5)
        with np.errstate(all="ignore"):
            base = finite[0]
            span = finite[-1] - base
            scale = kind.type((1 << self._bits) - 1) / span
        if not (0 < span < np.inf and 0 < scale < np.inf):
            return None
        floor = (int(span.view(whole)) >> shift) - (_OCTAVES << (self._bits - 5))

        def bucket(scores: NDArray[Any]) -> NDArray[Any]:
            with np.errstate(over="ignore"):
                distance = scores - base
            np.clip(distance, 0, span, out=distance)
            position: NDArray[Any] = distance.view(whole) >> shift
            position -= floor
            np.maximum(position, 0, out=position)
            distance *= scale
            position += distance.astype(whole)
            return position

        return bucket


class Tally:
    """How many scores have which place, added up over any number of calls, here or on a GPU.

    Attributes:
        reached: (K + 1,) scores by the number of thresholds that they reach.
        equal: (K + 1,) those of them that equal the highest one.
    """

    def __init__(self, thresholds: int) -> None:
        """Start with none, for that many thresholds."""
        # A histogram over the K + 1 gaps is touched only where there are scores; the counts above each threshold would
        # be rewritten, all K, for every frame: four times as slow with the six million of BDD-Anomaly.
        self.reached: Any = np.zeros(thresholds + 1, np.int64)
        self.equal: Any = np.zeros(thresholds + 1, np.int64)

    def add(self, places: Any, equal: Any) -> None:
        """Count what `Places.find` found."""
        if not isinstance(places, np.ndarray) and isinstance(self.reached, np.ndarray):
            self.reached, self.equal = (places.new_tensor(own) for own in (self.reached, self.equal))
        self.reached, self.equal = _added(self.reached, places), _added(self.equal, places[equal])

    def merge(self, other: Tally) -> None:
        """Add what another process counted."""
        self.reached, self.equal = (mine + its for mine, its in zip(self.here(), other.here(), strict=True))

    def here(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Both histograms as arrays."""
        if isinstance(self.reached, np.ndarray):
            return self.reached, self.equal
        return self.reached.cpu().numpy(), self.equal.cpu().numpy()

    def tails(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Scores above each threshold, and above or equal: (K,), (K,)."""
        reached, equal = self.here()
        at_least: NDArray[np.int64] = np.cumsum(reached[:0:-1])[::-1]
        return at_least - equal[1:], at_least


def _added(histogram: Any, places: Any) -> Any:
    """The histogram with one more at each of the places."""
    if not isinstance(places, np.ndarray):
        return histogram.add_(places.bincount(minlength=len(histogram)))
    if histogram.size <= places.size:
        return np.add(histogram, np.bincount(places, minlength=histogram.size), out=histogram)
    np.add.at(histogram, places.astype(np.intp, copy=False), 1)
    return histogram
