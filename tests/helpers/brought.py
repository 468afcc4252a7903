from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CLASSES, WIDTH = 5, 7


def brought(images: int, seed: int = 0) -> dict[str, Any]:
    """What a linear classifier leaves of random features."""
    rng = np.random.default_rng(seed)
    weight, bias = head().values()
    features = np.abs(rng.normal(size=(images, WIDTH))) + 3 * np.abs(weight[rng.integers(0, CLASSES, images)])
    logits = features @ weight.T + bias
    targets = logits.argmax(axis=1)
    targets[::10] = (targets[::10] + 1) % CLASSES  # it is wrong at times
    return {"logits": logits, "features": features, "targets": targets}


def head() -> dict[str, Any]:
    rng = np.random.default_rng(99)
    return {"weight": rng.normal(size=(CLASSES, WIDTH)), "bias": rng.normal(size=CLASSES)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One in which everything is right."""
    for seed, (name, images) in enumerate({"test": 40, "fit": 60, "odd": 30}.items()):
        np.savez(tmp_path / f"{name}.npz", **brought(images, seed))
    np.savez(tmp_path / "head.npz", **head())
    return tmp_path


@pytest.fixture
def rewritten(folder: Path) -> Callable[..., Path]:
    """The same with fields of one set changed; None takes a field away."""

    def rewrite(name: str, **changed: Any) -> Path:
        with np.load(folder / f"{name}.npz") as stored:
            fields = {**dict(stored), **changed}
        np.savez(folder / f"{name}.npz", **{key: each for key, each in fields.items() if each is not None})
        return folder

    return rewrite
