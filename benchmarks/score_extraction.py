"""All detectors from stored outputs, beside a bare forward loop and beside pytorch-ood's one pass per detector.

Run: `python benchmarks/score_extraction.py`, five minutes on two cores. The images are
rendered at 64 pixels and go through EfficientNet-Lite0 at 128 pixels with a linear head of random weights: the speed
does not depend on what it has learnt. Three image sets: for fitting, in-distribution test, and one OOD set. `bare loop`
decodes and forwards every image once and keeps nothing. pytorch-ood has no LogitAvg, and no ODIN with MaxLogit; each of
its detectors makes its own passes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
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
from scaling_ood.detectors import Detector, Need, build_detector, field_of, on_need
from scaling_ood.detectors.odin import Perturbed
from scaling_ood.evaluation.chunks import ImageOutputs
from scaling_ood.evaluation.passes import HEADS, ImagePass
from scaling_ood.images import Loading, Photographs
from scaling_ood.images.files import fingerprint
from scaling_ood.models import ClassHead, Forward, ImageNetwork, architecture, build_network
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.preparation import Manifest, Place, Preparation

IMAGES = 600
SETS = ("fit", "test", "unseen")
CLASSES = 60
LOGITS = ("msp", "max_logit", "energy", "kl_matching", "gen", "temperature_scaling")
FEATURES = ("mahalanobis", "knn", "vim", "react", "ash")
PLAIN = (*LOGITS, *FEATURES, "logit_avg")
ODIN = ("odin", "odin_max_logit")
INPUT_PX, WIDTH, SEED = 128, 1280, "seed0"


def render(folder: Path) -> Manifest:
    """Write the images of all sets, and return their manifest."""
    spec = MiniatureSpec()
    chosen = [name for name in folders(spec) if name.startswith("val/")]
    rows = []
    for number in range(IMAGES * len(SETS)):
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(render_image(spec, chosen[number % len(chosen)], number // len(chosen))).save(path, quality=95)
        own = {"image_set": SETS[number // IMAGES], "data_set": "rendered", "content": fingerprint(path.read_bytes())}
        rows.append({"id": path.name, "path": path.name, "number": -1, "label": 0, **own})
    prepared = Preparation(
        benchmark="speed",
        setting="multi_class",
        in_dist="rendered",
        ood=("unseen",),
        places={"rendered": Place(root="fabricated", folder=".")},
        classes=tuple(f"class {number}" for number in range(CLASSES)),
        sources={"unseen": "fabricated"},
        images=dict.fromkeys(SETS, IMAGES),
        digests=dict.fromkeys(SETS, ""),
    )
    return Manifest(pd.DataFrame(rows), prepared, {"fabricated": str(folder)})


def networks() -> dict[str, ImageNetwork]:
    """A published backbone with a linear head of random weights."""
    return {SEED: build_network("efficientnet_lite0", partial(ClassHead, classes=CLASSES), seed=0, start="published")}


def made(name: str) -> Detector:
    """A detector of ours."""
    return on_need(build_detector("max_logit"), Perturbed()) if name == "odin_max_logit" else build_detector(name)


def bare_loop(network: ImageNetwork, make: ImagePass, paths: list[str]) -> float:
    """Seconds of decoding and forwarding every image once."""
    started = time.perf_counter()
    for name in SETS:
        part = paths[SETS.index(name) * IMAGES : (SETS.index(name) + 1) * IMAGES]
        for batch in make.loading.batches(Photographs(part, make.preprocessing), pin_memory=False):
            with torch.inference_mode():
                network(make.forward.inputs(make.preprocessing, batch))
    return time.perf_counter() - started


def ours(make: ImagePass, folder: Path, detectors: Sequence[str]) -> float:
    """Seconds of extracting, storing, fitting and scoring with all of the detectors."""
    started = time.perf_counter()
    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(Plan([Part(HEADS, 0), *make.parts(SETS)], make))
    shards, targets = dataset.load(), torch.arange(IMAGES) % CLASSES
    for name in detectors:
        detector = made(name)
        detector.fit(ImageOutputs(shards, "fit", SEED, detector.needs, targets=targets))
        for image_set in SETS[1:]:
            for chunk in ImageOutputs(shards, image_set, SEED, detector.needs):
                detector.score(chunk)
    return time.perf_counter() - started


def pytorch_ood(network: ImageNetwork, make: ImagePass, paths: list[str], detectors: Sequence[str]) -> float:
    """Seconds of pytorch-ood's detectors on the same images: each asks for its own forward passes."""
    head = network.last_layer

    def outputs(field: str, images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            given = network(make.forward.inputs(make.preprocessing, images))[field]
        # Cloned out of inference mode, since fitting a temperature takes gradients.
        return given.clone()

    class LogitsOnly(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return outputs("logits", images)

    def batches(first: int, last: int):
        source = Photographs(paths[first * IMAGES : last * IMAGES], make.preprocessing)
        return make.loading.batches(source, pin_memory=False)

    features, logits = partial(outputs, "features"), LogitsOnly()
    built = {
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
        "odin": lambda: theirs.ODIN(lambda inputs: network(inputs)["logits"]),
    }
    started = time.perf_counter()
    for name in detectors:
        detector = built[name]()
        if detector.requires_fit:
            first = 0
            labelled = []
            for batch in batches(0, 1):
                labelled.append((batch, torch.arange(first, first + len(batch)) % CLASSES))
                first += len(batch)
            detector.fit(labelled)
        for batch in batches(1, 3):
            detector.predict(make.forward.inputs(make.preprocessing, batch) if name == "odin" else batch)
    return time.perf_counter() - started


def main() -> None:
    """Print seconds, images per second and the ratio to the bare loop."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = render(folder)
        preprocessing = architecture("efficientnet_lite0").preprocessing.at(INPUT_PX)
        forward = Forward("auto", "float32", channels_last=True)
        paths = [str(folder / path) for path in manifest.rows["path"]]

        def passing(*needs: str | Need) -> ImagePass:
            ordered = sorted(needs, key=field_of)
            return ImagePass(
                manifest, networks, ordered, forward, torch.float32, 512, "speed", "a classifier", preprocessing,
                Loading(16, 2),
            )  # fmt: skip

        plain, odin = passing("features", "logits"), passing("features", "logits", Perturbed())
        network = plain.placed[SEED]
        bare_loop(network, plain, paths[:IMAGES] * len(SETS))
        bare = min(bare_loop(network, plain, paths) for _ in range(2))
        own = min(ours(plain, folder / f"outputs{n}", PLAIN) for n in range(2))
        own_all = ours(odin, folder / "odin", (*PLAIN, *ODIN))
        other = pytorch_ood(network, plain, paths, (*LOGITS, *FEATURES))
        other_all = other + pytorch_ood(network, plain, paths, ("odin",))
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
