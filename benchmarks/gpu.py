"""A graphics processor at work: passes of three networks beside a bare loop, and all detectors beside a pass.

Run: `python benchmarks/gpu.py` with `src` on PYTHONPATH, or `make gpu`; a few minutes. It needs PyTorch alone: what
lacks a library, or this project's, is skipped in words. `--device cpu --images 32` rehearses it without one.

Networks have random weights, images are noise in pinned memory: the rate is that of the device and of the copies, not
of decoding. The bare loop has its images on the device already, as they enter the network, and keeps nothing. Ours
copies uint8 images there, normalises them, and brings logits and features back.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import nn

ROUNDS, FIT, CLASSES, WIDTH, CHUNK = 3, 10_240, 1_000, 2_048, 512
PRECISIONS = ("float32", "tf32", "bf16")


@dataclass(frozen=True)
class Case:
    """A network that is passed over images.

    Attributes:
        build: Makes it.
        size: (H, W) of its images.
        batch: Images of a pass on a GPU.
        share: Of the images that this case takes.
    """

    build: Callable[[], nn.Module]
    size: tuple[int, int]
    batch: int
    share: float = 1.0


def torchvision_network(name: str) -> nn.Module:
    """With random weights."""
    from torchvision import models

    built: nn.Module = models.get_model(name, weights=None)
    return built


def segmenter() -> nn.Module:
    """The paper's, with random weights."""
    from scaling_ood.models.segmentation import build_segmenter

    return build_segmenter("pspnet_resnet101", 13, seed=0, start="random")


CASES = {
    "ResNet-50": Case(lambda: torchvision_network("resnet50"), (224, 224), 256),
    "ViT-B/16": Case(lambda: torchvision_network("vit_b_16"), (224, 224), 256),
    "PSPNet-ResNet-101": Case(segmenter, (720, 1280), 4, 1 / 64),
}


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """Median of some rounds after one that warms up."""
    found = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - started)
    return median(found[1:])


def bare(network: nn.Module, case: Case, images: int, batch: int, precision: str, device: torch.device) -> float:
    """Images a second of a loop that does nothing but the forward pass."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    inputs = torch.randn(batch, 3, *case.size, device=device).contiguous(memory_format=torch.channels_last)

    def loop() -> None:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            for _ in range(images // batch):
                network(inputs)

    return images // batch * batch / seconds_of(loop, device)


def ours(network: nn.Module, case: Case, images: int, batch: int, precision: Any, device: torch.device) -> float:
    """Images a second as this project passes them."""
    from scaling_ood.images.transforms import Preprocessing
    from scaling_ood.models import Forward
    from scaling_ood.models.transfers import passed_through

    forward = Forward(str(device), precision)
    preprocessing = Preprocessing(case.size[0], case.size[0], "bilinear", (0.5,) * 3, (0.5,) * 3)
    pixels = torch.randint(0, 256, (batch, 3, *case.size), dtype=torch.uint8)
    pixels = pixels.pin_memory() if device.type == "cuda" else pixels

    def work(_: int, moved: torch.Tensor) -> dict[str, torch.Tensor]:
        with forward.arithmetic(), torch.inference_mode():
            outputs = network(forward.inputs(preprocessing, moved))
        return {"logits": outputs["logits"] if isinstance(outputs, dict) else outputs}

    def loop() -> None:
        for _ in passed_through(device, ((number, pixels) for number in range(images // batch)), work):
            pass

    return images // batch * batch / seconds_of(loop, device)


def passes(device: torch.device, images: int) -> Iterator[list[str]]:
    """A row for each network and precision."""
    for name, case in CASES.items():
        batch = case.batch if device.type == "cuda" else 2
        count = max(batch, int(images * case.share) // batch * batch)
        try:
            network = case.build().to(device).to(memory_format=torch.channels_last).eval()
        except ImportError as error:
            yield [name, f"skipped: {error}"]
            continue
        for precision in PRECISIONS:
            if precision == "tf32" and device.type != "cuda":
                yield [name, precision, "skipped: TF32 is of GPUs"]
                continue
            alone = bare(network, case, count, batch, precision, device)
            try:
                rate = ours(network, case, count, batch, precision, device)
            except ImportError as error:
                yield [name, precision, f"{alone:,.1f}", f"skipped: {error}"]
                continue
            yield [name, precision, f"{alone:,.1f}", f"{rate:,.1f}", f"{rate / alone:.2f}"]


def detectors(device: torch.device, images: int, pass_seconds: float) -> Iterator[list[str]]:
    """Fitting and scoring of each detector of one pass, in milliseconds; all together beside the pass itself."""
    try:
        from scaling_ood.detectors import (
            LinearHead,
            NotApplicableError,
            Outputs,
            OutputsList,
            build_detector,
            detector_class,
            detector_names,
        )
    except ImportError as error:
        yield ["detectors", f"skipped: {error}"]
        return
    generator = torch.Generator(device).manual_seed(0)
    centres = torch.randn(CLASSES, WIDTH, generator=generator, device=device).relu()
    head = LinearHead(centres / WIDTH**0.5, torch.zeros(CLASSES, device=device))

    def chunks(count: int) -> list[Outputs]:
        made = []
        for start in range(0, count, CHUNK):
            rows = torch.arange(start, min(start + CHUNK, count), device=device) % CLASSES
            noise = torch.randn(len(rows), WIDTH, generator=generator, device=device)
            features = (centres[rows] + 2 * noise).relu()
            made.append(Outputs(head.logits(features), features))
        return made

    targets = torch.arange(FIT, device=device) % CLASSES
    view, test = OutputsList(chunks(FIT), targets=targets, head=head), chunks(images)
    total = 0.0
    for name in detector_names():
        made = detector_class(name)
        if not made.needs <= {"logits", "features"} or getattr(made, "on_processor", False):
            continue
        try:
            built = build_detector(name)
            fitted = seconds_of(lambda built=built: built.fit(view), device)
            scored = seconds_of(lambda built=built: [built.score(chunk) for chunk in test], device)
        except NotApplicableError as reason:
            yield [name, f"not here: {reason}"]
            continue
        total += fitted + scored
        yield [name, f"{1000 * fitted:,.1f}", f"{1000 * scored:,.1f}"]
    yield ["all", f"{1000 * total:,.1f}", f"{total / pass_seconds:.3f} of a ResNet-50 pass over the same images"]


def machine(device: torch.device) -> str:
    """What it is."""
    versions = f"PyTorch {torch.__version__}"
    if device.type != "cuda":
        return f"{device.type}, {versions}"
    card = torch.cuda.get_device_properties(device)
    return f"{card.name}, {card.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}, {versions}"


def show(titles: list[str], rows: Iterator[list[str]]) -> list[list[str]]:
    """Print rows as they come."""
    print("  ".join(f"{title:>18}" for title in titles))
    kept = []
    for row in rows:
        print("  ".join(f"{cell:>18}" for cell in row), flush=True)
        kept.append(row)
    return kept


def main() -> None:
    """Print both tables, or say that there is no device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=10_240)
    given = parser.parse_args()
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no CUDA device here; nothing was measured.")
        return
    device = torch.device(given.device)
    print(machine(device))
    rows = show(
        ["network", "precision", "bare, images/s", "ours, images/s", "ours / bare"], passes(device, given.images)
    )
    rates = [float(row[2].replace(",", "")) for row in rows if row[:2] == ["ResNet-50", "float32"]]
    if not rates:
        print("Without a pass of ResNet-50 there is nothing to compare detectors with: skipped.")
        return
    print(f"\nDetectors: fitted on {FIT:,} images, scored on {given.images:,}; {CLASSES:,} logits, {WIDTH:,} features")
    show(["detector", "fit, ms", "score, ms"], detectors(device, given.images, given.images / rates[0]))


if __name__ == "__main__":
    main()
