"""A benchmark that is prepared, trained and scored in a blink: four classes of coloured squares, two OOD sets."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scaling_ood.preparation import Preparation

from scaling_ood.parameters.data_sets import NoiseSpec
from scaling_ood.parameters.multi_class import ModelSpec

CLASSES = ("blue_dark", "blue_light", "red_dark", "red_light")
COLOURS = dict(zip(CLASSES, [(10, 10, 120), (90, 90, 250), (120, 10, 10), (250, 90, 90)], strict=True))


def model_spec(**changes: Any) -> ModelSpec:
    """Heads on the toy's features, fine and coarse, one seed."""
    options = {"architecture": "toy", "training": "head", "labels": ("fine", "coarse"), "epochs": 3, "batch_images": 8}
    return ModelSpec.model_validate(options | changes)


def preparation(**changes: Any) -> Preparation:
    """A record of four classes in two groups, with photographs and noise as OOD."""
    record = {
        "benchmark": "toy",
        "in_dist": "squares",
        "ood": ("static", "greens"),
        "folders": {"squares": "/nowhere/squares", "greens": "/nowhere/greens"},
        "classes": CLASSES,
        "titles": ("dark blue", "light blue", "dark red", "light red"),
        "groups": ("blue", "red"),
        "group_of_class": (0, 0, 1, 1),
        "sources": {"static": "noise", "greens": "photographs"},
        "noise": {"static": NoiseSpec(source="noise", recipe="gaussian", images=5)},
        "images": {"train": 24, "fit": 20, "test": 12, "static": 5, "greens": 6},
        "digests": {"train": "d0", "fit": "d1", "test": "d2", "static": "d3", "greens": "d4"},
        "unreadable": 0,
        "seed": 0,
    }
    return Preparation.model_validate(record | changes)


def write_squares(folder: Path, per_class: int, classes: dict[str, tuple[int, int, int]] | None = None) -> None:
    """Grainy PNG images of one colour each: `<folder>/<class>/<number>.png`, 12 x 10 pixels."""
    for index, (name, colour) in enumerate((classes or COLOURS).items()):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            grain = np.random.default_rng([index, number]).normal(0, 12, (10, 12, 3))
            pixels = np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03d}.png")
