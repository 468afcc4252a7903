"""All detectors from stored outputs, beside a bare forward loop and beside pytorch-ood's one pass per detector.

Run: `python benchmarks/score_extraction.py`, five minutes on two cores. The images are rendered at 64 pixels and go
through EfficientNet-Lite0 at 128 pixels with a linear head of random weights: the speed does not depend on what it has
learnt. Three image sets: for fitting, in-distribution test, and one OOD set. `bare loop` decodes and forwards every
image once and keeps nothing. pytorch-ood has no LogitAvg, and no ODIN with MaxLogit; each of its detectors makes its
own passes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from pytorch_ood import detector as theirs
from timing import table
from torch import nn

from miniatures import MiniatureSpec, folders, render_image
from scaling_ood.datasets import ShardsDataset
from scaling_ood.detectors import LinearHead, build_detector
from scaling_ood.images import Loading, Photographs
from scaling_ood.models import Forward, Variant, architecture, assemble, trainable
from scaling_ood.pipelines.extraction import Extraction
from scaling_ood.pipelines.score_extraction.nodes import HEADS, StoredOutputs
from scaling_ood.plans import Part, Plan
from scaling_ood.preparation import Preparation

IMAGES = 600
SETS = ("fit", "test", "unseen")
CLASSES = 60
LOGITS = ("msp", "max_logit", "energy", "kl_matching", "gen", "temperature_scaling")
FEATURES = ("mahalanobis", "knn", "vim", "react", "ash")
PLAIN = (*LOGITS, *FEATURES, "logit_avg")
ODIN = ("odin", "odin_max_logit")
INPUT_PX, WIDTH = 128, 1280


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


def ours(network: nn.Module, extraction: Extraction, variant: Variant, folder: Path, detectors: Sequence[str]) -> float:
    """Seconds of extracting, storing, fitting and scoring with all of the detectors."""
    started = time.perf_counter()
    dataset = ShardsDataset(filepath=str(folder))
    layer = LinearHead.of(network.last_layers()[variant.name])._asdict()

    def produce(missing: Sequence[Part]) -> Iterator:
        yield HEADS, {f"{variant.name}/{kind}": tensor for kind, tensor in layer.items()}
        yield from extraction.produce(network, missing[1:])

    dataset.save(Plan("speed", [Part(HEADS, 0), *extraction.parts(SETS)], produce))
    shards = dataset.load()
    for name in detectors:
        fit = StoredOutputs(shards, "fit", variant.name, labels=torch.arange(IMAGES) % CLASSES)
        detector = build_detector(name).fit(fit)
        for image_set in SETS[1:]:
            for chunk in StoredOutputs(shards, image_set, variant.name):
                detector.score(chunk)
    return time.perf_counter() - started


def pytorch_ood(
    network: nn.Module, extraction: Extraction, variant: Variant, paths: list[str], detectors: Sequence[str]
) -> float:
    """Seconds of pytorch-ood's detectors on the same images: each asks for its own forward passes."""
    head = network.heads[variant.name].requires_grad_(False)

    def outputs(field: str, images: torch.Tensor) -> torch.Tensor:
        # Cloned out of inference mode, since fitting a temperature takes gradients.
        return getattr(extraction.forward.batch(network, extraction.preprocessing, images)[variant.name], field).clone()

    class LogitsOnly(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return outputs("logits", images)

    def batches(first: int, last: int):
        source = Photographs(paths[first * IMAGES : last * IMAGES], extraction.preprocessing)
        return extraction.loading.batches(source, pin_memory=False)

    features, logits = partial(outputs, "features"), LogitsOnly()
    made = {
        "msp": lambda: theirs.MaxSoftmax(logits),
        "max_logit": lambda: theirs.MaxLogit(logits),
        "energy": lambda: theirs.EnergyBased(logits),
        "kl_matching": lambda: theirs.KLMatching(logits),
        "gen": lambda: theirs.GEN(logits),
        "temperature_scaling": lambda: theirs.TemperatureScaling(logits),
        "mahalanobis": lambda: theirs.Mahalanobis(features),
        "knn": lambda: theirs.KNN(features),
        "vim": lambda: theirs.ViM(features, WIDTH // 2, head.weight, head.bias),
        "react": lambda: theirs.ReAct(features, head),
        # It takes feature maps.
        "ash": lambda: theirs.ASH(lambda images: features(images)[..., None, None], lambda maps: head(maps.flatten(1))),
        "odin": lambda: theirs.ODIN(network.logits_of(variant.name)),
    }
    started = time.perf_counter()
    for name in detectors:
        detector = made[name]()
        if detector.requires_fit:
            first = 0
            labelled = []
            for batch in batches(0, 1):
                labelled.append((batch, torch.arange(first, first + len(batch)) % CLASSES))
                first += len(batch)
            detector.fit(labelled)
        for batch in batches(1, 3):
            if name == "odin":
                with extraction.forward.arithmetic():
                    detector.predict(extraction.forward.inputs(extraction.preprocessing, batch))
            else:
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
        network = forward.place(assemble("efficientnet_lite0", "head", [variant], states)).requires_grad_(False)
        paths = [str(folder / path) for path in manifest["path"]]

        def extraction(*fields: str) -> Extraction:
            return Extraction(manifest, prepared, preprocessing, forward, Loading(16, 2), fields, 512)

        plain, odin = extraction("features", "logits"), extraction("features", "logits", "odin_logits")
        bare_loop(network, plain, paths[:IMAGES] * len(SETS))
        bare = min(bare_loop(network, plain, paths) for _ in range(2))
        own = min(ours(network, plain, variant, folder / f"outputs{n}", PLAIN) for n in range(2))
        own_all = ours(network, odin, variant, folder / "odin", (*PLAIN, *ODIN))
        other = pytorch_ood(network, plain, variant, paths, (*LOGITS, *FEATURES))
        other_all = other + pytorch_ood(network, plain, variant, paths, ("odin",))
    count = IMAGES * len(SETS)
    measured = {
        "bare forward loop": bare,
        f"scaling-ood, {len(PLAIN)} detectors": own,
        f"pytorch-ood, {len(PLAIN) - 1} detectors": other,
        f"scaling-ood, {len(PLAIN) + len(ODIN)} detectors with ODIN": own_all,
        f"pytorch-ood, {len(PLAIN)} detectors with ODIN": other_all,
    }
    rows = [[name, f"{s:.1f} s", f"{count / s:.0f}", f"{s / bare:.2f}x"] for name, s in measured.items()]
    print(f"Score extraction: {count:,} images at {INPUT_PX} px on {forward.device_name}, float32")
    print(table(["", "time", "images/s", "of the bare loop"], rows), end="\n\n")


if __name__ == "__main__":
    main()
