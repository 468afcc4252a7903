"""Detectors of a small benchmark, packaged and opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from helpers.bench import Bench
from scaling_ood.images import read_image
from scaling_ood.parameters.packaging import PackagingSpec
from scaling_ood.products.packages import Package, read_package, write_package
from scaling_ood.tasks.deployed import Deployed
from scaling_ood.tasks.packing import pack

RATE = 0.25


def packed(own: Bench, detector: str, rate: float = RATE, **options: Any) -> Package:
    """The package of one detector."""
    packaging = PackagingSpec(detector=detector, false_alarm_rate=rate, **options)
    spec = own.spec.model_copy(update={"packaging": packaging})
    network = spec.methods[detector].network
    scores = own.load(f"{detector}.scores")
    given = (own.manifest, own.model(network), own.outputs(network), scores, own.load("results"))
    return pack(own.task, spec, *given)


def opened(own: Bench, name: str, folder: Path, **options: Any) -> Deployed:
    """The same, written and read back."""
    write_package(packed(own, name, **options), folder / name)
    return Deployed(read_package(folder / name), "cpu")


def photographs(own: Bench, image_set: str) -> list[Image.Image]:
    """The images of a set."""
    rows = own.manifest.of(image_set)
    return [read_image(file, own.manifest.preparation.orientation) for file in own.manifest.files(rows)]
