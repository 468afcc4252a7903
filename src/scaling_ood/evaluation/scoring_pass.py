"""Test images passed and scored at once: what stays of each is a number per detector, whatever the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from scaling_ood.detectors import Detector, NotApplicableError
from scaling_ood.evaluation.chunks import ImageOutputs, seed_name, shards_of
from scaling_ood.evaluation.passes import ImagePass, image_set_of
from scaling_ood.evaluation.scoring import SCORE_COLUMNS, fitted, score_set
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.plans import Part
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import HeldShards, StoredShards, Tensors

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

    @cached_property
    def detectors(self) -> dict[tuple[int, str], Detector]:
        """Seed and name to a detector fitted on the device of the pass; without those that have no meaning here."""
        found, device = {}, self.make.forward.torch_device

        def view(method: Method, seed: int) -> ImageOutputs:
            return self.fit_view(method, seed).on(device)

        for seed in self.outputs.about["seeds"]:
            for name, method in self.methods.items():
                try:
                    found[seed, name] = fitted(method, view, seed, self.manifest)
                except NotApplicableError:
                    continue
        return found

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: detectors are fitted there."""
        return {name: value for name, value in vars(self).items() if name != "detectors"}

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """The missing shards: `<network>/<detector>` to scores (N,), float64, and `judged/<network>`.

        Raises:
            NetworkOutputError: The network gives NaN for some images.
            DetectorError: A detector cannot work with the outputs.
            NonFiniteScoreError: A score is NaN.
        """
        parts = {part.name: part for part in missing}
        for name, tensors in self.make(missing):
            yield name, self._scored(parts[name], tensors)

    def _scored(self, part: Part, tensors: Tensors) -> Tensors:
        ids, image_set = self.make.rows_of(part)["id"].to_numpy(), image_set_of(part.name)
        held = HeldShards(self.outputs.origin, self.outputs.about, {part.name: {}}, Path(), {part.name: tensors})
        device = self.make.forward.torch_device
        scored: Tensors = {}
        for (seed, name), detector in self.detectors.items():
            view = ImageOutputs(held, image_set, seed_name(seed), detector.needs, device=device)
            scored[f"{seed_name(seed)}/{name}"] = torch.tensor(score_set(detector, name, view, ids)["score"].to_numpy())
        for seed in self.outputs.about["seeds"] if image_set == "test" else ():
            scored[f"{JUDGED}/{seed_name(seed)}"] = self.judged(ImageOutputs(held, image_set, seed_name(seed)).logits())
        return scored


def scores_of(
    scored: StoredShards, detector: str, seeds: Sequence[int], manifest: Manifest, image_sets: Sequence[str]
) -> pd.DataFrame:
    """The scores of one detector, as `Scores.frame` has them."""
    blocks = []
    for seed in seeds:
        for image_set in image_sets:
            found = [scored.read(name)[f"{seed_name(seed)}/{detector}"] for name in shards_of(scored, image_set)]
            block = pd.DataFrame({"id": manifest.of(image_set)["id"].to_numpy(), "score": torch.cat(found).numpy()})
            blocks.append(block.assign(image_set=image_set, seed=seed))
    return pd.concat(blocks, ignore_index=True)[list(SCORE_COLUMNS)]
