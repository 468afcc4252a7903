"""Metrics of pixels by parts: the scores of the positive class first, then all pixels counted between these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scaling_ood.detectors import Detector
from scaling_ood.evaluation.chunks import (
    SceneOutputs,
    StoredScene,
    scenes_of,
    seed_name,
    seed_of,
    shards_of,
    unread_scenes,
)
from scaling_ood.evaluation.fitting import fitted
from scaling_ood.evaluation.scene_tables import (
    SCENE_COLUMNS,
    SceneRow,
    collect_positive,
    count_scenes,
    members_of,
    rows_of_seed,
)
from scaling_ood.evaluation.tables import bounds_of
from scaling_ood.metrics import PooledCounts, PooledThresholds
from scaling_ood.metrics.pooled import COUNTED
from scaling_ood.models import Forward
from scaling_ood.parameters.common import PixelReportingSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.plans import Make, Part, Plan
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredShards, Tensors, as_tensor, told_by

_TEST = "test"
_TOLD = "told"


def plan_measures(
    detector: Callable[[int], Detector],
    outputs: StoredShards,
    manifest: Manifest,
    reporting: PixelReportingSpec,
    forward: Forward,
    seeds: Sequence[int],
    product: Callable[[pd.DataFrame, pd.DataFrame], Any],
) -> Plan[Tensors]:
    """Plan the metrics of one detector over all test scenes and over each subset.

    A part of either round is a shard of scenes. The scores of the first and the counts of the second add up exactly, so
    that no bit depends on the division. A process that makes all alone makes one part for each seed, the first round's
    when the second's begins: its memory is bounded for each seed.

    Args:
        detector: Seed to the detector, fitted; picklable.
        outputs: Of the network that it reads.
        manifest: All scenes.
        reporting: How to measure.
        forward: Where outputs are up-sampled, scored and ranked.
        seeds: Of the network.
        product: What comes of two tables. The first has `seed, ood_set, infinite_scores, aggregation, n_in, n_out,
            base_rate, fpr95, auroc, aupr, skipped, tpr_at_5_fpr`, and the bounds of the mean over the seeds, the same
            for each; the second, for each scene with both kinds of pixels, `seed, id, n_in, n_out, fpr95, auroc, aupr,
            tpr_at_5_fpr`.

    Raises:
        ValueError: A score is NaN; names detector, scene and count.
    """
    scenes = Scenes(detector, outputs, manifest, reporting, forward)

    def count(make: Make[Tensors], parts: Sequence[Part]) -> Plan[Tensors]:
        counting = Counting(scenes, make, parts)
        return Plan(
            scenes.parts(seeds),
            counting,
            then=lambda *made: product(*counting.tables(*made)),
            at_once=scenes.at_once(seeds),
        )

    return Plan(scenes.parts(seeds), scenes, next_round=count, at_once=scenes.at_once(seeds))


def measure_scenes(
    detectors: Mapping[int, Detector],
    outputs: StoredShards,
    manifest: Manifest,
    reporting: PixelReportingSpec,
    device: str = "cpu",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables of `plan_measures`, made in this process; `detectors`: seed to the detector, fitted."""
    given = detectors.__getitem__, outputs, manifest, reporting, Forward(device), [*detectors]
    tables: tuple[pd.DataFrame, pd.DataFrame] = plan_measures(*given, lambda *both: both).whole()
    return tables


@dataclass(frozen=True)
class FittedDetectors:
    """Fits a detector of each seed when it is first asked for, once in a process; picklable.

    Attributes:
        method: The detector.
        fit_view: What it may learn from.
        manifest: All scenes.
        forward: Where it is fitted, and scores.
    """

    method: Method
    fit_view: Callable[[Method, int], SceneOutputs]
    manifest: Manifest
    forward: Forward
    _fitted: dict[int, Detector] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: detectors are fitted there."""
        return {**vars(self), "_fitted": {}}

    def __call__(self, seed: int) -> Detector:
        """The detector of a seed."""
        if seed not in self._fitted:
            with self.forward.arithmetic():
                self._fitted[seed] = fitted(self.method, self._view, seed, self.manifest)
        return self._fitted[seed]

    def _view(self, method: Method, seed: int) -> SceneOutputs:
        return self.fit_view(method, seed).on(self.forward.torch_device)


@dataclass(frozen=True)
class Scenes:
    """All test scenes; makes the first round's parts; picklable. Attributes are arguments of `plan_measures`."""

    detector: Callable[[int], Detector]
    outputs: StoredShards
    manifest: Manifest
    reporting: PixelReportingSpec
    forward: Forward

    def parts(self, seeds: Sequence[int]) -> list[Part]:
        """`<seed>/<shard>`."""
        sizes = {name: int(self.outputs.parts[name]["items"]) for name in shards_of(self.outputs, _TEST)}
        return [Part(f"{seed_name(seed)}/{name}", items) for seed in seeds for name, items in sizes.items()]

    def at_once(self, seeds: Sequence[int]) -> list[Part]:
        """`<seed>/test`: all scenes."""
        return [Part(f"{seed_name(seed)}/{_TEST}", self.manifest.preparation.images[_TEST]) for seed in seeds]

    def of(self, part: Part) -> Iterator[Callable[[], StoredScene]]:
        """The scenes of a part."""
        name = part.name.split("/", 1)[1]
        chosen = None if name == _TEST else scenes_of(self.outputs, self.manifest, name)
        return unread_scenes(self.outputs, self.manifest, _TEST, chosen)

    @cached_property
    def members(self) -> dict[str, frozenset[str]]:
        """Subset to the ids of its scenes."""
        return {name: members_of(self.manifest.rows, name) for name in self.manifest.preparation.ood}

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Scene to the scores of its pixels of the positive class."""
        positive, device = self.reporting.positive_class, self.forward.torch_device
        for part in missing:
            seed = _seed_of(part)
            detector = self.detector(seed)
            with self.forward.arithmetic():
                found = collect_positive(detector, self.of(part), positive, seed, device)
            yield part.name, {name: torch.from_numpy(scores) for name, scores in found.items()}


@dataclass(frozen=True)
class Counting:
    """Makes the second round's parts, and the tables of them; picklable.

    Attributes:
        scenes: All.
        first: Makes, or reads, the first round's parts.
        first_parts: All of them.
    """

    scenes: Scenes
    first: Make[Tensors]
    first_parts: Sequence[Part]
    _starts: dict[int, dict[str, PooledCounts]] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process."""
        return {**vars(self), "_starts": {}}

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """What `Counted` says of each part."""
        for part in missing:
            # Without a name, so that nothing is held here while the next part is not asked for.
            yield part.name, self._counted(part).tensors()

    def _counted(self, part: Part) -> Counted:
        scenes, seed = self.scenes, _seed_of(part)
        detector, counts = scenes.detector(seed), {name: each.fresh() for name, each in self._start(seed).items()}
        own = scenes.members, scenes.reporting, seed, scenes.forward.torch_device
        with scenes.forward.arithmetic():
            return Counted(*count_scenes(detector, scenes.of(part), counts, *own), counts)

    def _start(self, seed: int) -> dict[str, PooledCounts]:
        """Subset to its thresholds, with nothing counted; held for the last seed alone."""
        if seed not in self._starts:
            self._starts.clear()
            self._starts[seed] = {name: each.counts(by_image=True) for name, each in self._thresholds(seed).items()}
        return self._starts[seed]

    def _thresholds(self, seed: int) -> dict[str, PooledThresholds]:
        positive = self.scenes.reporting.positive_class
        thresholds = {subset: PooledThresholds(positive) for subset in self.scenes.members}
        for _, scores in self.first([part for part in self.first_parts if _seed_of(part) == seed]):
            for name, each in scores.items():
                for subset in (subset for subset, ids in self.scenes.members.items() if name in ids):
                    thresholds[subset].take(each.numpy())
        return thresholds

    def tables(self, make: Make[Tensors], parts: Sequence[Part]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables of all parts; see `plan_measures`."""
        found = {seed: self._rows(seed, make([*own])) for seed, own in groupby(parts, _seed_of)}
        metrics = pd.concat([one[0].assign(seed=seed) for seed, one in found.items()], ignore_index=True)
        per_scene = pd.concat([one[1].assign(seed=seed) for seed, one in found.items()], ignore_index=True)
        bounds = [
            bounds_of([[one] for one in by_seed]) for by_seed in zip(*(one[2] for one in found.values()), strict=True)
        ]
        metrics = metrics.join(pd.DataFrame(bounds * len(found)))
        metrics.insert(0, "seed", metrics.pop("seed"))
        return metrics, per_scene[list(SCENE_COLUMNS)]

    def _rows(self, seed: int, made: Iterator[tuple[str, Tensors]]) -> tuple[pd.DataFrame, pd.DataFrame, list[Any]]:
        whole = Counted.of(next(made)[1], self._start(seed))
        for _, tensors in made:
            whole.merge(Counted.of(tensors, self._start(seed)))
        return rows_of_seed(whole.rows, whole.infinite, whole.counts, self.scenes.members, self.scenes.reporting)


@dataclass(frozen=True)
class Counted:
    """What the second pass found in some scenes.

    Attributes:
        rows: Of each scene with both kinds of pixels.
        infinite: Subset to its infinite scores.
        counts: Subset to its pixels.
    """

    rows: list[SceneRow]
    infinite: dict[str, int]
    counts: Mapping[str, PooledCounts]

    def merge(self, other: Counted) -> None:
        """Add what was found in other scenes of the same seed."""
        self.rows.extend(other.rows)
        for name, counted in other.counts.items():
            self.infinite[name] += other.infinite[name]
            self.counts[name].merge(counted)

    def tensors(self) -> Tensors:
        """All of it, as it can be stored: numbers that are not zero, since one shard has few of the places."""
        images = {name: [*each.images] for name, each in self.counts.items()}
        told = {"rows": self.rows, "infinite": self.infinite, "images": images}
        arrays = {f"{name}/{kind}": a for name, each in self.counts.items() for kind, a in each.arrays().items()}
        return {_TOLD: as_tensor(told)} | {n: t for name, array in arrays.items() for n, t in _packed(name, array)}

    @classmethod
    def of(cls, tensors: Tensors, start: Mapping[str, PooledCounts]) -> Counted:
        """The same, read back; `start`: what was counted from."""
        told = told_by(tensors[_TOLD])
        counts = {}
        for name, each in start.items():
            places = {kind: f"{name}/{kind}" for kind in COUNTED}
            arrays = {kind: _unpacked(at, tensors) for kind, at in places.items() if f"{at}/shape" in tensors}
            counts[name] = each.holding(arrays, told["images"][name])
        return cls([tuple(row) for row in told["rows"]], told["infinite"], counts)


def _packed(name: str, array: NDArray[np.int64]) -> Iterator[tuple[str, torch.Tensor]]:
    """An array of counts: where they are not zero, and what they are there."""
    flat = array.reshape(-1)
    at = np.flatnonzero(flat)
    yield f"{name}/shape", torch.tensor(array.shape)
    if 2 * at.size < flat.size:
        yield f"{name}/at", _small(at)
        flat = flat[at]
    yield f"{name}/counts", _small(flat)


def _unpacked(name: str, tensors: Tensors) -> NDArray[np.int64]:
    counts, shape = tensors[f"{name}/counts"].numpy(), tensors[f"{name}/shape"].tolist()
    if f"{name}/at" in tensors:
        flat = np.zeros(int(np.prod(shape)), np.int64)
        flat[tensors[f"{name}/at"].numpy()] = counts
        counts = flat
    return counts.reshape(shape)


def _small(numbers: NDArray[np.int64]) -> torch.Tensor:
    fits = numbers.max(initial=0) <= np.iinfo(np.int32).max
    return torch.from_numpy(numbers.astype(np.int32) if fits else numbers)


def _seed_of(part: Part) -> int:
    return seed_of(part.name.split("/", 1)[0])
