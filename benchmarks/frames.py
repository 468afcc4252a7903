"""Cost of a frame of 720 x 1280 pixels and 13 classes: nine detectors, per image and pooled.

Run: `python benchmarks/frames.py [--frames N] [--against REF]`. With `--against` the same frames are measured with the
code of another commit too, in turns, each time in a process of its own. Time is that of the processor, of one thread,
so that other work on the machine does not count; medians of three rounds.

The label images and outputs are made up: smooth logits, and ellipses of anomalies, 0.8 % of the pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from timing import table
from torch.nn import functional

from scaling_ood.detectors import Detector, Outputs, build_detector, field_of
from scaling_ood.evaluation.chunks import stored_scenes
from scaling_ood.evaluation.scene_tables import score_pixels
from scaling_ood.parameters.common import PixelReportingSpec
from scaling_ood.parameters.segmentation import SceneDataSpec
from scaling_ood.products.keys import NOT_MADE
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import HeldShards
from scaling_ood.tasks.segmentation import SegmentationTask

try:
    from scaling_ood.evaluation.scene_parts import measure_scenes
except ModuleNotFoundError:  # --against a commit before metrics of pixels were made by parts
    from scaling_ood.evaluation.scene_tables import measure_scenes  # type: ignore[attr-defined, no-redef]

HEIGHT, WIDTH, CLASSES, STRIDE, ROUNDS = 720, 1280, 13, 8, 3
DETECTORS = (
    *("msp", "max_logit", "energy", "logit_avg", "background", "odin"),
    *("confidence_branch", "mc_dropout", "autoencoder"),
)
STEPS = ("decoding labels", "up-sampling", "scores", "metrics")


def make_scenes(root: Path, frames: int) -> None:
    """Label images, and logits beside them, as a person would bring them."""
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    (root / "labels" / "test").mkdir(parents=True)
    (root / "logits" / "test").mkdir(parents=True)
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    for number in range(frames):
        coarse = 4 * torch.randn(1, CLASSES, 12, 20, generator=generator)
        smooth = functional.interpolate(coarse, size=(HEIGHT // STRIDE, WIDTH // STRIDE), mode="bicubic")
        logits = smooth + torch.randn(smooth.shape, generator=generator) + 2
        ids = functional.interpolate(smooth, size=(HEIGHT, WIDTH), mode="bilinear").argmax(dim=1)[0]
        labels = ids.numpy().astype(np.uint8)
        row, column = rng.uniform((100, 100), (HEIGHT - 100, WIDTH - 100))
        labels[((rows - row) / 40) ** 2 + ((columns - column) / 60) ** 2 < 1] = 254
        Image.fromarray(labels).save(root / "labels" / "test" / f"{number:03d}.png")
        np.save(root / "logits" / "test" / f"{number:03d}.npy", logits[0].numpy().astype(np.float16))


def prepared(root: Path) -> tuple[Manifest, HeldShards, dict[str, Detector]]:
    """The scenes, what nine detectors read of them, and the detectors."""
    data = SceneDataSpec(in_dist="street", layout="own_outputs", folder=".", outputs="logits")
    manifest, _ = SegmentationTask().prepare(data, "memory", {"photographs": str(root)}, 0, None)
    detectors = {name: build_detector(name) for name in DETECTORS}
    fields = {field_of(need) for detector in detectors.values() for need in detector.needs}
    generator, tensors = torch.Generator().manual_seed(1), {}
    for number, path in enumerate(sorted((root / "logits" / "test").glob("*.npy"))):
        logits = torch.from_numpy(np.load(path))[None]
        whole = torch.rand(1, HEIGHT, WIDTH, generator=generator).half()  # an autoencoder has no stride
        own = {field: logits if "logits" in field else logits[:, 0].float() for field in fields}
        own["reconstruction_error"] = whole
        tensors |= {f"{number:05d}/seed0/{field}/0": tensor for field, tensor in own.items()}
    parts: Any = {"test-00000": {"items": len(manifest.of("test")), "seconds": 1.0}}
    return manifest, HeldShards(NOT_MADE, {"seeds": [0]}, parts, Path(), {"test-00000": tensors}), detectors


class Watched:
    """A detector that knows how long it has scored, and how many pixels."""

    def __init__(self, detector: Detector) -> None:
        """Watch it."""
        self.detector, self.seconds, self.pixels = detector, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        """All else is the detector's own."""
        return getattr(self.detector, name)

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Its scores."""
        started = time.process_time()
        scores = self.detector.score(chunk)
        self.seconds += time.process_time() - started
        self.pixels += scores.numel()
        return scores


class Idle(Watched):
    """In place of a detector: nothing but what it takes to hand it its outputs."""

    def score(self, chunk: Outputs) -> torch.Tensor:
        """The first field, or its first channel."""
        field = next(iter(chunk.fields.values()))
        return field[:, 0] if field.ndim > 3 else field


def seconds_of(call: Callable[[], object]) -> float:
    """Of the processor."""
    started = time.process_time()
    call()
    return time.process_time() - started


def measure(root: Path) -> dict[str, dict[str, float]]:
    """Milliseconds a frame, by detector and step."""
    torch.set_num_threads(1)
    manifest, outputs, detectors = prepared(root)
    scenes, reporting, found = list(stored_scenes(outputs, manifest, "test")), PixelReportingSpec(), {}
    pixels = sum(scene.train_ids.size for scene in scenes)
    for name, detector in detectors.items():
        rounds = []
        for _ in range(ROUNDS):
            watched, idle = Watched(detector), Idle(detector)
            labels = 2 * seconds_of(lambda: list(stored_scenes(outputs, manifest, "test")))
            once = seconds_of(lambda idle=idle: [score_pixels(idle, scene, 0) for scene in scenes])
            whole = seconds_of(lambda watched=watched: measure_scenes({0: watched}, outputs, manifest, reporting))
            up_sampling = once * watched.pixels / pixels
            rounds.append((labels, up_sampling, watched.seconds, whole - labels - up_sampling - watched.seconds, whole))
        steps = [1000 * median(step) / len(scenes) for step in zip(*rounds, strict=True)]
        found[name] = dict(zip((*STEPS, "all"), steps, strict=True))
    return found


def measured_by(source: Path, root: Path) -> dict[str, dict[str, float]]:
    """What the code of a source folder takes, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--measure", str(root)]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    found: dict[str, dict[str, float]] = json.loads(told.splitlines()[-1])
    return found


def main() -> None:
    """Print one row per detector."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=4, help="how many (4)")
    parser.add_argument("--against", metavar="REF", help="a commit whose code is measured beside the present one's")
    parser.add_argument("--measure", metavar="DIR", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(Path(chosen.measure))))
        return
    project = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        root, other = Path(folder, "scenes"), Path(folder, "other")
        make_scenes(root, chosen.frames)
        found = {"now": measured_by(project / "src", root)}
        if chosen.against:
            other.mkdir()
            archive = subprocess.run(
                ["git", "-C", str(project), "archive", chosen.against, "src"], check=True, capture_output=True
            ).stdout
            subprocess.run(["tar", "-x", "-C", str(other)], input=archive, check=True)
            found[chosen.against] = measured_by(other / "src", root)
    where = f"{platform.machine()}, {os.cpu_count()} cores, PyTorch {torch.__version__}, NumPy {np.__version__}"
    print(f"{chosen.frames} frames of {HEIGHT} x {WIDTH} pixels, {CLASSES} classes; one thread ({where})")
    for name, by_detector in found.items():
        total = {step: sum(steps[step] for steps in by_detector.values()) for step in (*STEPS, "all")}
        rows = [[each, *(f"{steps[step]:.1f}" for step in total)] for each, steps in by_detector.items()]
        rows.append(["all nine", *(f"{milliseconds:.0f}" for milliseconds in total.values())])
        rows.append(["share", *(f"{milliseconds / total['all']:.0%}" for milliseconds in total.values())])
        print(table([f"{name}: ms a frame", *total], rows), end="\n\n")
    if chosen.against:
        now, then = (sum(steps["all"] for steps in found[name].values()) for name in ("now", chosen.against))
        print(f"{now / then:.2f} of the time at {chosen.against}")


if __name__ == "__main__":
    main()
