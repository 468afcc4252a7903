"""Scores of chance, and the record of the images that they are of."""

from typing import Any

import numpy as np
import pandas as pd

from scaling_ood.parameters.data_sets import NoiseSpec
from scaling_ood.products.preparation import Preparation
from scaling_ood.products.scores import Scores

SETS = {"test": 40, "static": 15, "greens": 25}
REASON = "not applicable: too few fit images"


def prepared(**changes: Any) -> Preparation:
    """A record of four classes in two groups, with photographs and noise as OOD."""
    record = {
        "benchmark": "toy",
        "setting": "multi_class",
        "in_dist": "squares",
        "ood": ("static", "greens"),
        "places": {"squares": {"root": "photographs", "folder": "squares"}},
        "classes": ("blue_dark", "blue_light", "red_dark", "red_light"),
        "of_classes": {
            "titles": ("dark blue", "light blue", "dark red", "light red"),
            "groups": ("blue", "red"),
            "group_of_class": (0, 0, 1, 1),
        },
        "sources": {"static": "noise", "greens": "photographs"},
        "noise": {"static": NoiseSpec(source="noise", recipe="gaussian", images=15)},
        "images": {"train": 24, "fit": 20, **SETS},
        "digests": {name: f"digest of {name}" for name in ("train", "fit", *SETS)},
    }
    return Preparation.model_validate(record | changes)


def fabricated(
    detector: str = "msp", shift: float = 1.0, seed: int = 0, seeds: tuple[int, ...] = (0, 1), decimals: int = 1
) -> Scores:
    """Rounded normal scores with ties; OOD ones are higher by `shift`."""
    rng = np.random.default_rng(seed)
    blocks = []
    for own in seeds:
        for name, count in SETS.items():
            values = np.round(rng.normal(0 if name == "test" else shift, 1, count), decimals)
            ids = [f"{name}/{index}" for index in range(count)]
            blocks.append(pd.DataFrame({"id": ids, "image_set": name, "seed": own, "score": values}))
    return of_frame(detector, pd.concat(blocks, ignore_index=True), seeds)


def of_frame(detector: str, frame: pd.DataFrame, seeds: tuple[int, ...] = (0, 1), gap: str = "") -> Scores:
    """Scores of a table."""
    about = {"seeds": list(seeds), "targets": "classes", "model": "toy", "network": "classifier"}
    return Scores(detector, frame, gap, {}, about)


def gap(detector: str = "kl_matching") -> Scores:
    """Of a detector without a meaning."""
    return of_frame(detector, fabricated().frame.iloc[:0], gap=REASON)
