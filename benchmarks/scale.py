"""What scoring and measuring take as sets grow: time an image at a quarter and at the whole, peak memory, bytes stored.

Run: `python benchmarks/scale.py [--share S]`. At share 1: 1,000,000 images of 1,000 classes, 100,000 of 11,221, and
1,500 frames of 720 x 1280 pixels, a quarter of an hour of one core, some of it the making of made-up outputs, which is
taken off. Outputs are made as they are read, so that nothing is stored; how many bytes they would be is computed. Times
are those of the processor, one thread; each case runs in a process of its own, whose peak memory is printed. How many
workers are worth how much, and what a killed one costs, is `benchmarks/engines.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import frames
import pandas as pd
import torch
from timing import table

from scaling_ood.detectors import detector_class
from scaling_ood.evaluation.chunks import ImageOutputs, seed_name
from scaling_ood.evaluation.passes import stored_bytes
from scaling_ood.evaluation.scene_parts import measure_scenes
from scaling_ood.evaluation.scoring import score_images
from scaling_ood.evaluation.tables import measure_scores, summarise
from scaling_ood.parameters.common import PixelReportingSpec, ReportingSpec, RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.keys import NOT_MADE
from scaling_ood.products.preparation import Manifest, Preparation
from scaling_ood.products.scores import Quality
from scaling_ood.products.stored import StoredShards, Tensors
from scaling_ood.wording import in_bytes

SHARD, FIT_PER_CLASS = 512, 5
IMAGES = {"1,000 classes": (1_000_000, 1_000), "11,221 classes": (100_000, 11_221)}
DETECTORS = ("msp", "max_logit", "energy", "kl_matching")
FRAMES, DISTINCT_FRAMES = 1_500, 12
FRAME_DETECTORS = ("msp", "max_logit")


@dataclass(frozen=True)
class MadeUp(StoredShards):
    """Outputs that are made when they are read, the same every time.

    Attributes:
        classes: Number of classes C.
        spent: Seconds of the processor that the making took, in a list of one.
    """

    classes: int = 0
    spent: list[float] = field(default_factory=lambda: [0.0])

    def read(self, name: str) -> Tensors:
        """Logits (N, C) of one shard; those of the OOD set are flatter."""
        started = time.process_time()
        image_set, number = name.rsplit("-", 1)
        rows = int(self.parts[name]["items"])
        generator = torch.Generator().manual_seed(hash((len(image_set), int(number))) % 2**31)
        logits = torch.randn(rows, self.classes, generator=generator)
        likely = (torch.arange(rows) + SHARD * int(number)) % self.classes
        logits[torch.arange(rows), likely] += 4 if image_set == "unseen" else 9
        self.spent[0] += time.process_time() - started
        return {f"{seed_name(0)}/logits": logits}


def sizes(images: int, classes: int) -> dict[str, int]:
    """Images of each set."""
    return {"fit": FIT_PER_CLASS * classes, "test": images // 2, "unseen": images - images // 2}


def made_up(images: int, classes: int) -> tuple[MadeUp, Manifest]:
    """Outputs of so many test images, and their manifest."""
    by_set = sizes(images, classes)
    parts = {
        f"{name}-{number:05d}": {"items": min(SHARD, count - start), "seconds": 1.0}
        for name, count in by_set.items()
        for number, start in enumerate(range(0, count, SHARD))
    }
    rows = pd.concat([pd.DataFrame({"image_set": name, "number": range(count)}) for name, count in by_set.items()])
    rows = rows.assign(id=rows["image_set"] + "/" + rows["number"].astype(str)).reset_index(drop=True)
    prepared = Preparation(
        benchmark="scale",
        setting="multi_class",
        in_dist="made up",
        ood=("unseen",),
        places={},
        classes=tuple(map(str, range(classes))),
        sources={"unseen": "fabricated"},
        images=by_set,
        digests=dict.fromkeys(by_set, ""),
    )
    about = {"seeds": [0], "device": "cpu", "model": "made up", "targets": "classes"}
    return MadeUp(NOT_MADE, about, parts, Path(), classes), Manifest(rows, prepared, {})


def score_and_measure(images: int, classes: int) -> Iterator[tuple[str, float]]:
    """Seconds of the processor, by detector, with fitting and metrics, without the making of outputs."""
    outputs, manifest = made_up(images, classes)
    quality, runtime, reporting = Quality("top1", 1.0), RuntimeSpec(device="cpu"), ReportingSpec()
    for name in DETECTORS:
        method, needs = Method(name, name, network="classifier"), detector_class(name).needs
        outputs.spent[0], started = 0.0, time.process_time()
        view = partial(_fit_view, outputs, needs)
        plan = score_images(method, outputs, quality, manifest, ["test", "unseen"], view, runtime)
        scores = plan.whole()
        metrics = measure_scores(scores, manifest.preparation, reporting)
        summarise(metrics, scores, manifest.preparation, reporting)
        yield name, time.process_time() - started - outputs.spent[0]


def _fit_view(outputs: MadeUp, needs: Any, _method: Method, seed: int) -> ImageOutputs:
    return ImageOutputs(outputs, "fit", seed_name(seed), needs)


def measure_frames(count: int, folder: Path) -> Iterator[tuple[str, float]]:
    """Seconds of the processor, by detector: a few frames stand for all, under names of their own."""
    frames.make_scenes(folder, DISTINCT_FRAMES)
    manifest, outputs, detectors = frames.prepared(folder)
    own = manifest.of("test")
    rows = pd.concat([own.assign(id=own["id"] + f"#{turn}") for turn in range(-(-count // len(own)))]).iloc[:count]
    many = Manifest(rows.reset_index(drop=True), manifest.preparation, manifest.roots)
    held = outputs.shards["test-00000"]
    shards = {
        f"test-{number:05d}": {name: held[name] for name in held if int(name.split("/")[0]) < stop - start}
        for number, start in enumerate(range(0, count, DISTINCT_FRAMES))
        for stop in [min(count, start + DISTINCT_FRAMES)]
    }
    parts = {name: {"items": len({key.split("/")[0] for key in own}), "seconds": 1.0} for name, own in shards.items()}
    all_outputs = type(outputs)(NOT_MADE, outputs.about, parts, Path(), shards)
    for name in FRAME_DETECTORS:
        started = time.process_time()
        measure_scenes({0: detectors[name]}, all_outputs, many, PixelReportingSpec())
        yield name, time.process_time() - started


def case(what: str, count: int) -> None:
    """Measure one case in this process; prints milliseconds an image by detector, and the peak memory."""
    torch.set_num_threads(1)
    if what in IMAGES:
        found = dict(score_and_measure(count, IMAGES[what][1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = dict(measure_frames(count, Path(folder)))
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"ms": {name: 1000 * seconds / count for name, seconds in found.items()}, "peak": peak}))


def stored(what: str, count: int) -> int:
    """Bytes of the outputs in half precision."""
    if what in IMAGES:
        classes = IMAGES[what][1]
        return sum(stored_bytes(sizes(count, classes), [classes], torch.float16).values())
    return 2 * count * frames.CLASSES * (frames.HEIGHT // frames.STRIDE) * (frames.WIDTH // frames.STRIDE)


def main() -> None:
    """Print one row per case and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the images")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        case(given.case[0], int(given.case[1]))
        return
    rows = []
    whole = {**{what: count for what, (count, _) in IMAGES.items()}, "frames": FRAMES}
    for what, count in whole.items():
        for some in (int(count * given.share) // 4, int(count * given.share)):
            command = [sys.executable, __file__, "--case", what, str(some)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
            found = json.loads(told.splitlines()[-1])
            times = ", ".join(f"{name} {ms:.3f}" for name, ms in found["ms"].items())
            rows.append([what, f"{some:,}", times, in_bytes(found["peak"]), in_bytes(stored(what, some))])
    print(f"{platform.processor() or platform.machine()}, one thread, PyTorch {torch.__version__}")
    print(table(["", "images", "ms an image", "peak memory", "outputs on disk (float16)"], rows))


if __name__ == "__main__":
    main()
