"""The miniature benchmark's images: which folders there are, and what is in them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from miniatures.camera import SUPERSAMPLING, photograph
from miniatures.organism import build
from miniatures.scene import Scene, draw_scene
from miniatures.spec import MiniatureSpec
from miniatures.taxonomy import Species, taxonomy
from miniatures.traits import Traits, individual

SPLITS = ("train", "val", "ood")

_SCENE_STREAM, _INDIVIDUAL_STREAM = 1, 2


@dataclass(frozen=True)
class FolderSpec:
    """One class folder.

    Attributes:
        split: `train`, `val` or `ood`.
        species: What its images show.
        images: How many there are.
    """

    split: str
    species: Species
    images: int


@lru_cache(maxsize=8)
def _folders(spec: MiniatureSpec) -> dict[str, FolderSpec]:
    known, unseen = taxonomy(spec).in_dist, taxonomy(spec).ood
    train = {f"train/{one.name}": FolderSpec("train", one, spec.train_images) for one in known}
    val = {f"val/{one.name}": FolderSpec("val", one, spec.val_images) for one in known}
    ood = {f"ood/{one.supercategory}/{one.name}": FolderSpec("ood", one, spec.ood_images) for one in unseen}
    return train | val | ood


def folders(spec: MiniatureSpec) -> dict[str, FolderSpec]:
    """List the class folders, in ImageNet's and the Species data set's on-disk layouts.

    Args:
        spec: What to render.

    Returns:
        Relative folder to its content: `train/<species>`, `val/<species>` and `ood/<supercategory>/<species>`.
    """
    return dict(_folders(spec))


def image_name(species: Species, index: int) -> str:
    """Return the file name of an image, such as `velora_parva_00012.jpg`."""
    return f"{species.name}_{index:05d}.jpg"


def draw_image(spec: MiniatureSpec, folder: str, index: int) -> tuple[Scene, Traits, float]:
    """Draw all chance that goes into one image, without rendering it.

    Args:
        spec: What to render.
        folder: A key of `folders(spec)`.
        index: Which image of the folder, from 0.

    Returns:
        The scene, the individual's traits, and the phase of its pattern in [0, 1).

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    content = _content(spec, folder)
    if not 0 <= index < content.images:
        raise IndexError(f"image {index} of {folder!r}: allowed are 0 to {content.images - 1}")
    identity = (SPLITS.index(content.split), content.species.number, index)
    scene = draw_scene(np.random.default_rng([spec.seed, _SCENE_STREAM, *identity]))
    rng = np.random.default_rng([spec.seed, _INDIVIDUAL_STREAM, *identity])
    return scene, individual(content.species.traits, spec.spread, rng), rng.uniform(0.0, 1.0)


def render_image(spec: MiniatureSpec, folder: str, index: int) -> NDArray[np.uint8]:
    """Render one image.

    Args:
        spec: What to render.
        folder: A key of `folders(spec)`.
        index: Which image of the folder, from 0.

    Returns:
        `(size_px, size_px, 3)` in sRGB; the same bytes whatever was rendered before it, and in whichever process.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    scene, traits, phase = draw_image(spec, folder, index)
    species = _content(spec, folder).species
    look = (species.body, species.pattern, species.limbs)
    organism = build(look, traits, phase, scene, spec.size_px * SUPERSAMPLING)
    return photograph(organism, traits.gloss, scene)


def render_folder(spec: MiniatureSpec, folder: str) -> dict[str, NDArray[np.uint8]]:
    """Render all images of one folder.

    Args:
        spec: What to render.
        folder: A key of `folders(spec)`.

    Returns:
        File name to image, `(size_px, size_px, 3)` in sRGB.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
    """
    content = _content(spec, folder)
    return {image_name(content.species, i): render_image(spec, folder, i) for i in range(content.images)}


def _content(spec: MiniatureSpec, folder: str) -> FolderSpec:
    known = _folders(spec)
    if folder not in known:
        nearest = difflib.get_close_matches(folder, known, n=1, cutoff=0.0)[0]
        raise KeyError(f"no folder {folder!r} among the {len(known)} of this spec; did you mean {nearest!r}?")
    return known[folder]
