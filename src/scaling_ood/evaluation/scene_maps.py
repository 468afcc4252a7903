"""Score maps: which are stored, and the figures made of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from scaling_ood.detectors import Detector
from scaling_ood.evaluation.chunks import SceneOutputs, scenes_of, seed_name, seed_of, shards_of, stored_scenes
from scaling_ood.evaluation.fitting import fitted
from scaling_ood.evaluation.scene_tables import score_pixels
from scaling_ood.images import Orientation, RecordedFile, read_image
from scaling_ood.images.recorded import LABEL
from scaling_ood.images.scenes import read_labels
from scaling_ood.models import Forward
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.plans import Part
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredShards, Tensors
from scaling_ood.report import SceneExample

EXAMPLES = "examples"
"""End of the part that holds the scenes that are shown."""

_GREY = 128


@dataclass(frozen=True)
class ScoreMaps:
    """Makes the score maps of a setting's detectors, part by part; picklable.

    Attributes:
        manifest: All scenes.
        methods: Detectors that have a meaning here.
        outputs: Network to its outputs.
        fit_view: What a detector may learn from.
        seeds: Network to its seeds.
        shown: Ids of the scenes that are shown.
        kept: Whether all test scenes' maps are stored.
        device: Where they are made.
    """

    manifest: Manifest
    methods: Mapping[str, Method]
    outputs: Mapping[str, StoredShards]
    fit_view: Callable[[StoredShards, Manifest, Method, int], SceneOutputs]
    seeds: Mapping[str, Sequence[int]]
    shown: Sequence[str]
    kept: bool
    device: str = "cpu"

    def parts(self) -> list[Part]:
        """`<detector>/examples`, of the first seed, and `<detector>/<seed>-<shard>` of what is kept."""
        parts = []
        for name, method in self.methods.items():
            outputs = self.outputs[method.network]
            parts.append(Part(f"{name}/{EXAMPLES}", len(self.shown)))
            for seed in self.seeds[method.network] if self.kept else ():
                own = [(shard, int(outputs.parts[shard]["items"])) for shard in shards_of(outputs, "test")]
                parts += [Part(f"{name}/{seed_name(seed)}-{shard}", items) for shard, items in own]
        return parts

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Score maps (H, W) by scene id."""
        detectors: dict[tuple[str, int], Detector] = {}
        device = Forward(self.device).torch_device
        for part in missing:
            name, rest = part.name.split("/", 1)
            method = self.methods[name]
            outputs = self.outputs[method.network]
            seed, shown = self.seeds[method.network][0], self.shown
            if rest != EXAMPLES:
                number, shard = rest.split("-", 1)
                seed, shown = seed_of(number), scenes_of(outputs, self.manifest, shard)
            if (name, seed) not in detectors:
                view = partial(self._fit_view, outputs)
                detectors[name, seed] = fitted(method, view, seed, self.manifest)
            scenes = stored_scenes(outputs, self.manifest, "test", shown)
            detector = detectors[name, seed]
            maps = {str(s.row["id"]): score_pixels(detector, s, seed, device).cpu() for s in scenes}
            yield part.name, maps

    def _fit_view(self, outputs: StoredShards, method: Method, seed: int) -> SceneOutputs:
        return self.fit_view(outputs, self.manifest, method, seed).on(Forward(self.device).torch_device)


def chosen_scenes(manifest: Manifest, count: int) -> list[str]:
    """Ids of a few test scenes with an anomaly, the same for every detector: drawn by a fixed seed."""
    test = manifest.of("test")
    ids = test.loc[test["anomalous"] > 0, "id"].to_numpy()
    drawn = np.random.default_rng(0).permutation(len(ids))[:count]
    return [str(name) for name in ids[np.sort(drawn)]]


def scene_examples(maps: StoredShards, manifest: Manifest, detectors: Collection[str] = ()) -> list[SceneExample]:
    """The scenes that are shown, with each detector's stored map; detectors without one are left out.

    Args:
        maps: Of all detectors.
        manifest: All scenes.
        detectors: Which are shown; by default all.
    """
    scenes = manifest.preparation.scenes
    assert scenes is not None
    names = [name for name in maps.parts if name.endswith(f"/{EXAMPLES}")]
    scores = {owner: maps.read(name) for name in names if (owner := name.split("/")[0]) in (detectors or [owner])}
    labels, shown = scenes.label_map, {name for tensors in scores.values() for name in tensors}
    examples = []
    rows = manifest.rows[manifest.rows["id"].isin(shown)]
    files = (manifest.files(rows, kind) for kind in ("", LABEL))
    for name, photograph, label in zip(rows["id"], *files, strict=True):
        ids = labels.apply(read_labels(label), label.path)
        image = _pictured(photograph, manifest.preparation.orientation, (ids.shape[0], ids.shape[1]))
        own = {detector: tensors[name].numpy() for detector, tensors in scores.items()}
        examples.append(SceneExample(name, image, labels.palette[ids], own))
    return examples


def _pictured(photograph: RecordedFile, orientation: Orientation, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The photograph at the size of its label image; grey where there is none."""
    if not photograph.path.rpartition("/")[2]:
        return np.full((*size, 3), _GREY, np.uint8)
    return np.asarray(read_image(photograph, orientation).resize(size[::-1]))
