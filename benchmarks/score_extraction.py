"""All detectors from stored outputs, beside a bare forward loop and beside pytorch-ood's one pass per detector.

Run: `python benchmarks/score_extraction.py`. The images are rendered at 64 pixels and go through EfficientNet-Lite0 at
128 pixels with a linear head of random weights: the speed does not depend on what it has learnt. Three image sets: for
fitting, in-distribution test, and one OOD set. `bare loop` decodes and forwards every image once and keeps nothing.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from pytorch_ood.detector import EnergyBased, KLMatching, MaxLogit, MaxSoftmax
from timing import table
from torch import nn

from scaling_ood.datasets import ShardsDataset
from scaling_ood.detectors import build_detector
from scaling_ood.fabrication import MiniatureSpec, folders, render_image
from scaling_ood.images import Loading, Photographs
from scaling_ood.models import Forward, Variant, architecture, assemble, trainable
from scaling_ood.pipelines.extraction import Extraction
from scaling_ood.pipelines.score_extraction.nodes import StoredOutputs
from scaling_ood.plans import Plan
from scaling_ood.preparation import Preparation

IMAGES = 400
SETS = ("fit", "test", "unseen")
CLASSES = 60
DETECTORS = ("msp", "max_logit", "energy", "kl_matching", "logit_avg")
INPUT_PX = 128


def render(folder: Path) -> pd.DataFrame:
    """Write the images of all sets, and return their manifest."""
    spec = MiniatureSpec()
    chosen = [name for name in folders(spec) if name.startswith("val/")]
    rows = []
    for number in range(IMAGES * len(SETS)):
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(render_image(spec, chosen[number % len(chosen)], number // len(chosen))).save(path, quality=95)
        rows.append({"id": path.name, "path": path.name, "image_set": SETS[number // IMAGES], "data_set": "rendered"})
    return pd.DataFrame(rows).assign(number=-1, label=0)


def preparation(folder: Path) -> Preparation:
    """The record that goes with the manifest."""
    names = tuple(f"class {number}" for number in range(CLASSES))
    return Preparation(
        benchmark="speed", in_dist="rendered", ood=("unseen",), folders={"rendered": str(folder)}, classes=names,
        titles=names, groups=(), group_of_class=(), sources={"unseen": "fabricated"}, noise={},
        images=dict.fromkeys(SETS, IMAGES), digests=dict.fromkeys(SETS, ""), unreadable=0, seed=0,
    )  # fmt: skip


def bare_loop(network: nn.Module, extraction: Extraction, paths: list[str]) -> float:
    """Seconds of decoding and forwarding every image once."""
    started = time.perf_counter()
    for name in SETS:
        part = paths[SETS.index(name) * IMAGES : (SETS.index(name) + 1) * IMAGES]
        for batch in extraction.loading.batches(Photographs(part, extraction.preprocessing), pin_memory=False):
            extraction.forward.batch(network, extraction.preprocessing, batch)
    return time.perf_counter() - started


def ours(network: nn.Module, extraction: Extraction, variant: Variant, folder: Path) -> float:
    """Seconds of extracting, storing, fitting and scoring with all detectors."""
    started = time.perf_counter()
    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(Plan("speed", extraction.parts(SETS), lambda missing: extraction.produce(network, missing)))
    shards = dataset.load()
    for name in DETECTORS:
        detector = build_detector(name).fit(StoredOutputs(shards, "fit", variant.name))
        for image_set in SETS[1:]:
            for chunk in StoredOutputs(shards, image_set, variant.name):
                detector.score(chunk)
    return time.perf_counter() - started


def pytorch_ood(network: nn.Module, extraction: Extraction, variant: Variant, paths: list[str]) -> float:
    """Seconds of pytorch-ood's detectors on the same images: each asks for its own forward passes."""

    class LogitsOnly(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return extraction.forward.batch(network, extraction.preprocessing, images)[variant.name].logits

    def batches(first: int, last: int):
        source = Photographs(paths[first * IMAGES : last * IMAGES], extraction.preprocessing)
        return extraction.loading.batches(source, pin_memory=False)

    model = LogitsOnly()
    started = time.perf_counter()
    for detector in (MaxSoftmax(model), MaxLogit(model), EnergyBased(model), KLMatching(model)):
        if detector.requires_fit:
            labelled = ((batch, torch.arange(len(batch)) % CLASSES) for batch in batches(0, 1))
            detector.fit(labelled)
        for batch in batches(1, 3):
            detector.predict(batch)
    return time.perf_counter() - started


def main() -> None:
    """Print seconds, images per second and the ratio to the bare loop."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest, prepared = render(folder), preparation(folder)
        variant = Variant("fine", 0, CLASSES)
        states = {variant.name: trainable("efficientnet_lite0", "head", variant).state_dict()}
        preprocessing = architecture("efficientnet_lite0").preprocessing.at(INPUT_PX)
        forward = Forward("auto", "float32", channels_last=True)
        extraction = Extraction(manifest, prepared, preprocessing, forward, Loading(64, 2), ("logits",), 512)
        network = forward.place(assemble("efficientnet_lite0", "head", [variant], states))
        paths = [str(folder / path) for path in manifest["path"]]
        bare_loop(network, extraction, paths[:IMAGES] * len(SETS))
        bare = min(bare_loop(network, extraction, paths) for _ in range(2))
        own = min(ours(network, extraction, variant, folder / f"outputs{n}") for n in range(2))
        other = pytorch_ood(network, extraction, variant, paths)
    count = IMAGES * len(SETS)
    rows = [
        ["bare forward loop", f"{bare:.1f} s", f"{count / bare:.0f}", "1.00x"],
        [f"scaling-ood, {len(DETECTORS)} detectors", f"{own:.1f} s", f"{count / own:.0f}", f"{own / bare:.2f}x"],
        ["pytorch-ood, 4 detectors (no LogitAvg)", f"{other:.1f} s", f"{count / other:.0f}", f"{other / bare:.2f}x"],
    ]
    print(f"Score extraction: {count:,} images at {INPUT_PX} px on {forward.device_name}, float32")
    print(table(["", "time", "images/s", "of the bare loop"], rows), end="\n\n")


if __name__ == "__main__":
    main()
