"""How many scores lie where among ascending thresholds, exactly.

A frame has a million pixels, and each has its place among the scores of all anomalous pixels of a data set. Sorting
the pixels and looking each up takes longer than making their scores. So a table leads from a coarse position of a score
to the first threshold near it, and a few comparisons do the rest. Only among very many thresholds are scores sorted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_OCTAVES = 24
_FEWEST_BITS = 12
# Thresholds, among which a look-up in order is as fast as one by a table, and takes less memory.
_MANY = 1 << 20
# Comparisons of neighbours in the table's bucket; scores in a bucket with as many thresholds are looked up one by one.
_CROWD = 16
# Scores at a time, whose temporary arrays stay in a processor's cache.
_CHUNK = 1 << 15


class Found(NamedTuple):
    """How many scores of a frame have which place: arrays, or tensors of a GPU.

    Both are the places that occur, ascending, and how many scores have each: `(m,)`, `(m,)`.
    """

    reached: tuple[Any, Any]
    """By the number of thresholds that they reach."""
    equal: tuple[Any, Any]
    """The same, of those alone that equal the highest threshold that they reach."""

    def tails(self, at: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Scores above, and above or equal to, each of the thresholds at these indices, `(M,)`, `(M,)`."""
        up_to = _up_to(self.reached, at)
        equal = _up_to(self.equal, at + 1) - _up_to(self.equal, at)
        at_least = int(self.reached[1].sum()) - up_to
        return at_least - equal, at_least


class Places:
    """Ascending distinct thresholds without NaN, and a table that leads to them.

    Holds a copy of the thresholds, and where they are fewer than a million a table: 9 bytes for each entry, 13 in
    double precision, four to seven entries a threshold.

    Attributes:
        thresholds: (K,).
    """

    def __init__(self, thresholds: NDArray[Any]) -> None:
        """Make the table, or none where the number or the range of the thresholds does not allow one."""
        kind = np.result_type(thresholds, np.float32)
        # NaN, which equals no score, before the first; and what no score reaches behind the last.
        self._padded = np.concatenate([[np.nan], thresholds, np.full(_CROWD, np.nan)]).astype(kind)
        self._bits = max(int(thresholds.size).bit_length() + 1, _FEWEST_BITS)
        self._bucket = self._mapped(kind) if thresholds.size < _MANY else None
        self._on_device: Any = None
        if self._bucket is not None:
            parts = range(0, thresholds.size, _CHUNK)
            own = np.concatenate([self._bucket(self.thresholds[start : start + _CHUNK]) for start in parts])
            size = np.bincount(own, minlength=(1 << self._bits) + (_OCTAVES << (self._bits - 5)))
            first = (np.cumsum(size) - size).astype(np.int32)
            self._next = self._padded.take(first + 1)
            self._first = np.where(size > 1, ~first, first)
            self._size = np.minimum(size, _CROWD).astype(np.uint8)

    @property
    def thresholds(self) -> NDArray[Any]:
        """(K,), ascending."""
        return self._padded[1 : self._padded.size - _CROWD]

    def find(self, scores: Any) -> Found:
        """How many thresholds each score reaches, and how many scores equal the highest of these.

        Args:
            scores: (n,) without NaN; a tensor of a GPU is looked up there.
        """
        if not isinstance(scores, np.ndarray):
            return self._find_on_device(scores)
        if self._bucket is None or scores.dtype != self._padded.dtype or scores.size <= self.thresholds.size:
            return self._find_in_order(scores)
        places, equal = np.empty(scores.size, np.intp), np.empty(scores.size, np.bool_)
        for start in range(0, scores.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            self._near(scores[part], places[part], equal[part])
        return Found(*(_counted(np.bincount(each)) for each in (places, places[equal])))

    def index_of(self, scores: NDArray[Any]) -> NDArray[np.intp] | None:
        """Which thresholds some ascending scores are; None if one is none."""
        at = np.searchsorted(self.thresholds, scores)
        return at if bool((self._padded.take(at + 1) == scores).all()) else None

    def _find_in_order(self, scores: NDArray[Any]) -> Found:
        # In order, neighbouring look-ups share their path: nine times as fast among six million thresholds.
        ordered = np.sort(scores)
        places = np.searchsorted(self.thresholds, ordered, "right").astype(np.int32)
        equal = places[self._padded.take(places) == ordered]
        del ordered
        return Found(_runs(places), _runs(equal))

    def _near(self, scores: NDArray[Any], places: NDArray[np.intp], equal: NDArray[np.bool_]) -> None:
        """Fill in the place of each score, and whether it equals the threshold there."""
        assert self._bucket is not None
        bucket = self._bucket(scores).astype(np.intp)
        first, next_ = self._first.take(bucket), self._next.take(bucket)
        np.equal(next_, scores, out=equal)
        np.add(first, next_ <= scores, out=places)
        if (rest := np.flatnonzero(first < 0)).size:
            bucket, scores, found = bucket[rest], scores[rest], ~first[rest]
            size = self._size.take(bucket)
            # Half of what may be left at a time. Where a bucket ends is of no account: thresholds behind it are higher.
            step = 1 << int(size.max()).bit_length() >> 1
            while step:
                found += np.int32(step) * (self._padded.take(found + step) <= scores)
                step >>= 1
            if (crowded := np.flatnonzero(size == _CROWD)).size:
                found[crowded] = np.searchsorted(self.thresholds, scores[crowded], "right")
            places[rest], equal[rest] = found, self._padded.take(found) == scores

    def _find_on_device(self, scores: Any) -> Found:
        import torch

        if self._on_device is None:
            self._on_device = torch.as_tensor(self._padded, device=scores.device)
        padded, ordered = self._on_device, scores.sort().values
        places = torch.searchsorted(padded[1 : len(padded) - _CROWD], ordered, right=True)
        equal = places[padded[places] == ordered]
        return Found(*(torch.unique_consecutive(each, return_counts=True) for each in (places, equal)))

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

    def add(self, found: Found) -> None:
        """Count what `Places.find` found."""
        if not isinstance(found.reached[0], np.ndarray) and isinstance(self.reached, np.ndarray):
            self.reached, self.equal = (found.reached[0].new_tensor(own) for own in (self.reached, self.equal))
        for histogram, (places, counts) in ((self.reached, found.reached), (self.equal, found.equal)):
            if isinstance(places, np.ndarray):
                histogram[places] += counts
            else:
                histogram.index_add_(0, places, counts)

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


def _counted(histogram: NDArray[np.intp]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Places that occur in a histogram, and how often."""
    places = np.flatnonzero(histogram)
    return places.astype(np.int32), histogram[places].astype(np.int32)


def _runs(places: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The distinct ones of ascending places, and how often each occurs."""
    starts = np.flatnonzero(np.append(True, places[1:] != places[:-1])[: places.size])
    return places[starts], np.diff(starts, append=places.size).astype(np.int32)


def _up_to(found: tuple[Any, Any], at: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many scores have at most these places."""
    places, counts = found
    if isinstance(places, np.ndarray):
        return np.append(0, np.cumsum(counts, dtype=np.int64))[
            np.searchsorted(places, at.astype(places.dtype), "right")
        ]
    import torch

    fewer = torch.searchsorted(places, places.new_tensor(at), right=True)
    return np.asarray(torch.cat([counts.new_zeros(1), counts]).cumsum(0)[fewer].cpu())
