"""How fast images reach a network, beside a bare loop of PyTorch; and where the time of one image goes.

Run: `python benchmarks/feeding.py`, two minutes on two cores. JPEGs of ImageNet's usual size are made here. The first
table is bound by decoding: the network does nothing but average. `scaling-ood` decodes, passes, checks, stores and
vouches for the outputs; the bare loop decodes and passes, with as many workers. The second table is processor time, so
that other work on the machine does not count: a ResNet-50 of random weights, as of a published one.
"""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save
from timing import table
from torch.utils.data import DataLoader
from torchvision.models import resnet50

from scaling_ood.cores import usable_cores
from scaling_ood.datasets import ShardsDataset
from scaling_ood.detectors import LinearHead, Outputs, OutputsList, build_detector
from scaling_ood.evaluation.passes import ImagePass
from scaling_ood.images import Loading, Photographs, Preprocessing, as_decoded
from scaling_ood.images.files import fingerprint
from scaling_ood.images.recorded import stamp
from scaling_ood.models import Forward, Network
from scaling_ood.products.plans import Plan
from scaling_ood.products.preparation import Manifest, Place, Preparation

IMAGES, ROUNDS, BATCH = 1200, 7, 16
CLASSES, WIDTH, FIT_IMAGES, SHARD = 1000, 2048, 2000, 512
PREPROCESSING = Preprocessing(256, 224, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
DETECTORS = ("msp", "max_logit", "energy", "gen", "react", "ash", "mahalanobis", "knn", "vim")


class Tiny(Network):
    """Takes no time: the mean of each channel."""

    gives = frozenset({"logits"})

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, 3)."""
        return inputs.mean(dim=(2, 3))

    def decode(self, encoded: torch.Tensor) -> dict[str, torch.Tensor]:
        """The same as logits."""
        return {"logits": encoded}


def photographs(folder: Path) -> Manifest:
    """JPEGs of 500 x 375 pixels, about as large as ImageNet's (110 kB), and their manifest."""
    chance, rows = np.random.default_rng(0), []
    for number in range(IMAGES):
        coarse = Image.fromarray(chance.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375), 3)
        noisy = np.asarray(coarse) + chance.normal(0, 10, (375, 500, 3))
        path = folder / f"{number:04d}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        row = {"id": path.name, "path": path.name, "number": -1, "label": 0, "image_set": "test", "data_set": "made"}
        size, changed = stamp(str(path))
        rows.append({**row, "bytes": size, "modified_ns": changed, "content": fingerprint(path.read_bytes())})
    prepared = Preparation(
        benchmark="speed",
        setting="speed",
        in_dist="made",
        ood=(),
        places={"made": Place(root="fabricated", folder=".")},
        classes=("one", "other", "third"),
        sources={},
        images={"test": IMAGES},
        digests={"test": ""},
    )
    return Manifest(pd.DataFrame(rows), prepared, {"fabricated": str(folder)})


def feeding(folder: Path, manifest: Manifest) -> list[list[str]]:
    """Images a second of both, medians of several rounds in turn."""
    forward, network = Forward("auto"), Tiny()
    device = forward.torch_device
    paths = [str(folder / path) for path in manifest.rows["path"]]
    make = ImagePass(
        manifest, lambda: {"seed0": network}, ["logits"], forward, torch.float32, 512, "speed", "a tiny network",
        PREPROCESSING, Loading(BATCH, "auto"),
    )  # fmt: skip

    def bare() -> None:
        loader = DataLoader(
            Photographs(paths, PREPROCESSING), BATCH, num_workers=usable_cores(), pin_memory=device.type == "cuda"
        )
        with torch.inference_mode():
            for images in loader:
                network(PREPROCESSING.normalise(images.to(device)))["logits"].cpu()

    def ours() -> None:
        with tempfile.TemporaryDirectory() as place:
            ShardsDataset(filepath=place).save(Plan(make.parts(["test"]), make))

    seconds: dict[str, list[float]] = {"bare DataLoader loop": [], "scaling-ood, stored": []}
    spent: dict[str, list[float]] = {name: [] for name in seconds}
    for _ in range(ROUNDS):
        for name, call in zip(seconds, (bare, ours), strict=True):
            started = time.perf_counter()
            spent[name].append(processor_seconds(call))
            seconds[name].append(time.perf_counter() - started)
    wall, work = ({name: statistics.median(own) for name, own in each.items()} for each in (seconds, spent))
    first = wall["bare DataLoader loop"]
    return [
        [name, f"{IMAGES / own:.0f}", f"{first / own:.2f}", f"{1000 * work[name] / IMAGES:.2f}"]
        for name, own in wall.items()
    ]


def processor_seconds(call: Callable[[], object]) -> float:
    """Of this process and of those that it started and that have ended."""

    def used() -> float:
        each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in each)

    started = used()
    call()
    return used() - started


def profile(paths: list[str]) -> list[list[str]]:
    """Milliseconds of processor time that an image takes in each step."""
    some = Photographs(paths[: IMAGES // 4], PREPROCESSING)
    decoded = [some[number] for number in range(len(some))]
    generator = torch.Generator().manual_seed(0)
    head = LinearHead(torch.randn(CLASSES, WIDTH, generator=generator) / WIDTH**0.5, torch.zeros(CLASSES))
    features = torch.randn(FIT_IMAGES + SHARD, WIDTH, generator=generator).relu()
    logits, labels = head.logits(features), torch.arange(FIT_IMAGES) % CLASSES
    fit = OutputsList([Outputs(logits[:FIT_IMAGES], features[:FIT_IMAGES])], targets=labels, head=head)
    chunk = Outputs(logits[FIT_IMAGES:], features[FIT_IMAGES:])
    detectors = {name: build_detector(name).fit(fit) for name in DETECTORS}
    network = resnet50().eval().to(memory_format=torch.channels_last)
    inputs = PREPROCESSING.normalise(as_decoded(decoded[:BATCH]))
    shard = {name: tensor.clone() for name, tensor in chunk.fields.items()}
    steps: dict[str, tuple[Callable[[], object], int]] = {
        "decode, scale, crop": (lambda: [some[number] for number in range(len(some))], len(some)),
        "transfer from a worker": (lambda: [*DataLoader(decoded * 10, BATCH, num_workers=1)], 10 * len(decoded)),  # type: ignore[arg-type]
        "normalise": (lambda: PREPROCESSING.normalise(as_decoded(decoded[:BATCH])), BATCH),
        "forward, ResNet-50": (lambda: network(inputs), BATCH),
        f"score, {len(DETECTORS)} detectors": (lambda: [own.score(chunk) for own in detectors.values()], SHARD),
        "store": (lambda: hashlib.sha256(save(shard)).digest(), SHARD),
    }
    with torch.inference_mode():
        spent = {
            name: statistics.median(processor_seconds(call) for _ in range(3)) / count
            for name, (call, count) in steps.items()
        }
    total = sum(spent.values())
    return [[name, f"{1000 * own:.2f}", f"{own / total:.1%}"] for name, own in spent.items()]


def main() -> None:
    """Print both tables, and the machine."""
    device = Forward("auto").device_name
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {usable_cores()} usable"
    print(f"{machine}; network on {device}; PyTorch {torch.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = photographs(folder)
        print(f"\nFeeding: {IMAGES} JPEGs of 500 x 375 px to 224 px, medians of {ROUNDS}")
        print(table(["", "images/s", "of the bare loop", "processor ms an image"], feeding(folder, manifest)))
        print("\nOne image: milliseconds of processor time")
        print(table(["", "ms", "share"], profile([str(folder / path) for path in manifest.rows["path"]])))


if __name__ == "__main__":
    main()
