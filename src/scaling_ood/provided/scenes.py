"""Logits that a person brings for the pixels of scenes: a file for each, on any grid, beside its label image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from scaling_ood.images.files import fingerprint
from scaling_ood.provided.formats import ProvidedError, as_numbers, read_fields
from scaling_ood.wording import listed

ENDINGS = (".npy", ".npz", ".safetensors")
"""Of files that can hold maps."""

_ASPECT = 1.3
"""By how much the shape of a grid may differ from that of the label image: more is another scene, or turned."""

_CLOSE = 1e-2
"""How far the sum of a pixel's probabilities may be from 1."""

_MOST = 5
"""Scenes that a message names."""


def logits_of(folder: Path, scene: str) -> Path:
    """The file of a scene's logits.

    Args:
        folder: Of all logits.
        scene: Its split and name, such as `test/0001`.

    Raises:
        ProvidedError: There is none, or several.
    """
    found = [place for ending in ENDINGS if (place := folder / f"{scene}{ending}").is_file()]
    if len(found) != 1:
        told = f"{len(found)} files of logits" if found else "no logits"
        raise ProvidedError(f"{scene}: {told} (looked for: {folder / scene}, {', '.join(ENDINGS)})")
    return found[0]


def read_logits(place: Path) -> torch.Tensor:
    """Logits of one scene, (C, h, w).

    Raises:
        ProvidedError: The file holds something else.
    """
    fields = read_fields(place, ("logits",), "logits")
    return as_numbers(place.name, "logits", fields["logits"], 3)


def survey_scenes(folder: Path, scenes: Sequence[str], sizes: Sequence[tuple[int, int]]) -> tuple[int, pd.DataFrame]:
    """Look at every scene's logits once.

    Args:
        folder: Of all logits.
        scenes: Split and name of each.
        sizes: Height and width of each label image, in pixels.

    Returns:
        Number of classes; `content`, the fingerprint of each file, in the order of the scenes.

    Raises:
        ProvidedError: Missing files, NaN, other numbers of classes, grids of another shape than the label image,
            probabilities; all of it, a line each kind.
    """
    problems: dict[str, list[str]] = {}
    contents, classes = [], dict[str, int]()
    for scene, (height, width) in zip(scenes, sizes, strict=True):
        try:
            place = logits_of(folder, scene)
            logits = read_logits(place)
        except ProvidedError as error:
            problems.setdefault("cannot be read", []).append(str(error))
            continue
        contents.append(fingerprint(place.read_bytes()))
        classes[scene] = len(logits)
        if logits.isnan().any():
            problems.setdefault("have NaN", []).append(scene)
        if not 1 / _ASPECT < logits.shape[2] * height / (logits.shape[1] * width) < _ASPECT:
            shape = f"{scene} {logits.shape[1]} x {logits.shape[2]} on {height} x {width}"
            problems.setdefault("have a grid (C, h, w) of another shape than the label image", []).append(shape)
        own = logits.float()
        if bool((own >= 0).all()) and bool(((own.sum(dim=0) - 1).abs() < _CLOSE).all()):
            problems.setdefault("look like probabilities (give what enters the softmax)", []).append(scene)
    if len(set(classes.values())) > 1:
        first = {number: scene for scene, number in reversed(classes.items())}
        problems["have different numbers of classes"] = [f"{scene} {number}" for number, scene in first.items()]
    if problems:
        told = [f"logits {how}: {listed(names, most=_MOST, between='; ')}" for how, names in problems.items()]
        raise ProvidedError("\n".join(told))
    return next(iter(classes.values())), pd.DataFrame({"content": contents})
