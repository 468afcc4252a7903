"""Test images passed and scored at once: what stays of each is a number per detector, whatever the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from scaling_ood.evaluation.chunks import ImageOutputs, seed_name, shards_of
from scaling_ood.evaluation.fitting import SCORE, TOLD, Fitted
from scaling_ood.evaluation.passes import ImagePass, image_set_of
from scaling_ood.evaluation.scoring import collected, known_scores, refuse_nan
from scaling_ood.models import Forward
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.plans import Part
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Quality, Scores
from scaling_ood.products.stored import HeldShards, StoredShards, Tensors, as_tensor

JUDGED = "judged"
"""Begins the names of what tells how good a network is, of the in-distribution test images."""


@dataclass(frozen=True)
class ScoringPass:
    """A pass whose shards are scored as soon as they are made, as they would be if they had been stored.

    Attributes:
        make: The pass.
        methods: Detectors that read the network.
        outputs: Stored ones of the fit images.
        manifest: All images.
        fit_view: What a detector may learn from.
        judged: Logits (N, C) to what of them the network is judged by, (N, ...).
    """

    make: ImagePass
    methods: Mapping[str, Method]
    outputs: StoredShards
    manifest: Manifest
    fit_view: Callable[[Method, int], ImageOutputs]
    judged: Callable[[torch.Tensor], torch.Tensor]

    @property
    def forward(self) -> Forward:
        """The device of the pass; whatever its precision, detectors work in single precision."""
        return replace(self.make.forward, precision="float32")

    @cached_property
    def detectors(self) -> dict[tuple[int, str], Fitted]:
        """Seed and name to the detector, fitted on the device of the pass."""
        return {
            (seed, name): Fitted.of(method, self.fit_view, seed, self.manifest, self.forward)
            for seed in self.outputs.about["seeds"]
            for name, method in self.methods.items()
        }

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: detectors are fitted there."""
        return {name: value for name, value in vars(self).items() if name != "detectors"}

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """The missing shards: what `Fitted.scored` makes, below `<network>/<detector>/`, and `judged/<network>`.

        Raises:
            NetworkOutputError: The network gives NaN for some images.
            DetectorError: A detector cannot work with the outputs.
            NonFiniteScoreError: A score is NaN.
        """
        parts = {part.name: part for part in missing}
        for name, tensors in self.make(missing):
            yield name, self._scored(parts[name], tensors)

    def _scored(self, part: Part, tensors: Tensors) -> Tensors:
        image_set, ids = image_set_of(part.name), self.make.rows_of(part)["id"].tolist()
        held = HeldShards(self.outputs.origin, self.outputs.about, {part.name: {}}, Path(), {part.name: tensors})
        scored: Tensors = {}
        for (seed, name), detector in self.detectors.items():
            view = ImageOutputs(held, image_set, seed_name(seed), detector.needs)
            score, told = detector.scored(view, part.name, lambda: ids)
            refuse_nan(score.numpy(), ids, name, image_set)
            place = f"{seed_name(seed)}/{name}"
            scored |= {f"{place}/{SCORE}": score, f"{place}/{TOLD}": as_tensor(told)}
        for seed in self.outputs.about["seeds"] if image_set == "test" else ():
            scored[f"{JUDGED}/{seed_name(seed)}"] = self.judged(ImageOutputs(held, image_set, seed_name(seed)).logits())
        return scored


def left_scores(
    scored: StoredShards,
    method: Method,
    outputs: StoredShards,
    quality: Quality,
    manifest: Manifest,
    image_sets: Sequence[str],
) -> Scores:
    """The scores of one detector that a pass has left; see `score_images`."""
    known = known_scores(method, outputs, quality)

    def of(seed: int, shard: str) -> Tensors:
        begin, tensors = f"{seed_name(seed)}/{method.name}/", scored.read(shard)
        return {name.removeprefix(begin): each for name, each in tensors.items() if name.startswith(begin)}

    shards = [shard for image_set in image_sets for shard in shards_of(scored, image_set)]
    return collected(known, manifest, ((seed, shard, of(seed, shard)) for seed in known.seeds for shard in shards))
