"""Scoring the test images with a detector, shard by shard, and the table that comes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from scaling_ood.detectors import NotApplicableError
from scaling_ood.evaluation.chunks import ImageOutputs, seed_name, seed_of, shards_of
from scaling_ood.evaluation.fitting import SCORE, TOLD, Fitted, FitView, fitted
from scaling_ood.evaluation.passes import image_set_of
from scaling_ood.metrics import NonFiniteScoreError
from scaling_ood.models import Forward
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.plans import Make, Part, Plan
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Quality, Scores
from scaling_ood.products.stored import StoredShards, Tensors, as_tensor, told_by

_logger = logging.getLogger(__name__)

_SLOW_SECONDS = 3
"""Scoring shows its progress after so long: most detectors are done before."""

SCORE_COLUMNS = {"id": "str", "image_set": "str", "seed": "int64", "score": "float64"}


def no_scores() -> pd.DataFrame:
    """An empty table of scores."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in SCORE_COLUMNS.items()})


def about_scores(method: Method, outputs: StoredShards, quality: Quality) -> dict[str, Any]:
    """What a reader must know of scores: all that is known of the outputs, and how good their network is."""
    told = {"measure": quality.measure, "quality": quality.value, "by_set": dict(quality.by_set)}
    speed = outputs.items_per_second
    return {**outputs.about, "network": method.network, "outputs_per_second": speed, "network_quality": told}


def known_scores(method: Method, outputs: StoredShards, quality: Quality) -> Scores:
    """What is known of a detector's scores before they are made."""
    return Scores(method.name, no_scores(), method.gap, method.options, about_scores(method, outputs, quality))


def score_images(
    method: Method,
    outputs: StoredShards,
    quality: Quality,
    manifest: Manifest,
    image_sets: Sequence[str],
    fit_view: Callable[[Method, int], ImageOutputs],
    runtime: RuntimeSpec,
) -> Plan[Tensors]:
    """Plan to fit on the fit images and to score every image of the sets, for the network of each seed, on the device.

    A part is a shard of outputs; all that make parts fit the detector for themselves. `Plan.whole` makes the scores.

    Raises:
        DetectorError: The detector cannot work with the outputs.
        NonFiniteScoreError: A score is NaN; names detector, image and count.
    """
    make = Scoring(method, outputs, manifest, fit_view, Forward(runtime.device))
    known = known_scores(method, outputs, quality)
    return Plan([] if known.gap else make.parts(image_sets), make, then=partial(make.scores, known))


@dataclass(frozen=True)
class Scoring:
    """Makes the scores of one detector, shard by shard; picklable.

    Attributes:
        method: The detector.
        outputs: What it reads.
        manifest: All images.
        fit_view: What it may learn from.
        forward: Where it is fitted, and scores.
    """

    method: Method
    outputs: StoredShards
    manifest: Manifest
    fit_view: Callable[[Method, int], ImageOutputs]
    forward: Forward
    _fitted: dict[int, Fitted] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: the detector is fitted there."""
        return {**vars(self), "_fitted": {}}

    def parts(self, image_sets: Sequence[str]) -> list[Part]:
        """`<seed>/<shard>`, in the order of the table of scores."""
        shards = [name for image_set in image_sets for name in shards_of(self.outputs, image_set)]
        sizes = {name: int(self.outputs.parts[name]["items"]) for name in shards}
        seeds = self.outputs.about["seeds"]
        return [Part(f"{seed_name(seed)}/{name}", items) for seed in seeds for name, items in sizes.items()]

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """What `Fitted.scored` makes of each shard, and the seconds that it took; errors as of `score_images`."""
        for part in missing:
            seed, shard = _place_of(part)
            started = time.perf_counter()
            detector = self._detector(seed)
            fitted_at = time.perf_counter()
            view = ImageOutputs(self.outputs, image_set_of(shard), seed_name(seed), detector.needs)
            score, told = detector.scored(view, shard, partial(self._ids, shard))
            seconds = {"fit_seconds": fitted_at - started, "seconds": time.perf_counter() - fitted_at}
            yield part.name, {SCORE: score, TOLD: as_tensor({**told, **seconds})}

    def _detector(self, seed: int) -> Fitted:
        """The detector of a seed, which is fitted now unless it was the last one."""
        if seed not in self._fitted:
            self._fitted.clear()
            self._fitted[seed] = Fitted.of(self.method, self.fit_view, seed, self.manifest, self.forward)
        return self._fitted[seed]

    def _ids(self, shard: str) -> list[str]:
        ids: list[str] = self.manifest.of(image_set_of(shard))["id"].tolist()
        return ids

    def scores(self, known: Scores, make: Make[Tensors], parts: Sequence[Part]) -> Scores:
        """The scores of all parts, and what is told of them; `known` is what was known before."""
        made = tqdm(make(parts), known.detector, len(parts), unit="shard", mininterval=1, delay=_SLOW_SECONDS)
        scored = ((*_place_of(part), tensors) for part, (_, tensors) in zip(parts, made, strict=True))
        return collected(known, self.manifest, scored)


def collected(
    known: Scores, manifest: Manifest, scored: Iterable[tuple[int, str, Mapping[str, torch.Tensor]]]
) -> Scores:
    """The scores of one detector, of what `Fitted.scored` made of each shard.

    Args:
        known: What was known before.
        manifest: All images.
        scored: Seed, shard, and its scores and what is told, in the order of the table.

    Raises:
        NonFiniteScoreError: A score is NaN; names detector, image and count.
    """
    if known.gap:
        return known
    blocks: list[pd.DataFrame] = []
    told: list[dict[str, Any]] = []
    for (seed, image_set), own in groupby(scored, lambda part: (part[0], image_set_of(part[1]))):
        ids = manifest.of(image_set)["id"].to_numpy()
        # One array for all: a small one kept of each shard would hold on to the memory that its outputs had.
        score, start = np.full(len(ids), np.nan), 0
        for _, _, tensors in own:
            told.append(told_by(tensors[TOLD]))
            if gap := told[-1]["gap"]:
                return replace(known, gap=gap)
            stop = start + len(tensors[SCORE])
            score[start:stop], start = tensors[SCORE].numpy(), stop
        frame = pd.DataFrame({"id": ids, "score": score})
        refuse_nan(frame["score"].to_numpy(), frame["id"].tolist(), known.detector, image_set)
        if infinite := int(np.isinf(frame["score"]).sum()):
            what = f"{known.detector}, {image_set}, {seed_name(seed)}"
            _logger.warning("%s: %s of %s scores are infinite: they rank first or last", what, infinite, len(frame))
        blocks.append(frame.assign(image_set=image_set, seed=seed))
    frame = pd.concat(blocks, ignore_index=True)[list(SCORE_COLUMNS)]
    fitting, scoring = (sum(each.get(name, 0.0) for each in told) for name in ("fit_seconds", "seconds"))
    return replace(
        known,
        frame=frame,
        diagnostics=told[0]["diagnostics"],
        images_per_second=len(frame) / scoring if scoring else 0.0,
        fit_seconds=fitting,
        device=told[0]["device"],
    )


def refuse_nan(score: NDArray[np.float64], ids: Sequence[str], detector: str, image_set: str) -> None:
    """Make sure that no score is NaN.

    Raises:
        NonFiniteScoreError: Some are; names detector, image set, the first image and their number.
    """
    missing = np.isnan(score)
    if missing.any():
        first = int(missing.argmax())
        owner = f"detector {detector} in {image_set} (image {ids[first]})"
        raise NonFiniteScoreError(int(missing.sum()), len(score), first, owner)


def score_later(
    method: Method, outputs: StoredShards, quality: Quality, manifest: Manifest, fit_view: FitView
) -> Scores:
    """The same for pixels, whose scores are made when they are measured: whether the detector has a meaning here."""
    known = known_scores(method, outputs, quality)
    if known.gap:
        return known
    try:
        detectors = [fitted(method, fit_view, seed, manifest) for seed in known.seeds]
    except NotApplicableError as reason:
        return replace(known, gap=f"not applicable: {reason}")
    return replace(known, diagnostics=dict(detectors[0].diagnostics()))


def _place_of(part: Part) -> tuple[int, str]:
    """Seed and shard."""
    network, shard = part.name.split("/", 1)
    return seed_of(network), shard
