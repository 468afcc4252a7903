"""Species: images from iNaturalist that show none of ImageNet-21K's classes (the paper, section 3 and appendix C)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scaling_ood.images.folders import EmptyClassError, beside, class_folders, subfolders
from scaling_ood.images.listing import LAYOUTS, Entry, Wanted
from scaling_ood.wording import listed


@LAYOUTS.reader("species", "<supercategory>/<species>/<image>")
def _species(root: Path, _wanted: Wanted) -> list[Entry]:
    """Species: the ten unpacked archives side by side, `<supercategory>/<species>/*`.

    A class is called `<supercategory>/<species>`. One supercategory alone is read by `class_folders`.
    """
    supercategories = {folder: subfolders(folder) for folder in subfolders(root)}
    bare = [folder.name for folder, species in supercategories.items() if not species]
    if bare:
        raise EmptyClassError(f"{len(bare)} supercategories of {root.name} hold no folder of a species: {listed(bare)}")
    folders = [("all", folder) for species in supercategories.values() for folder in species]
    classes = class_folders(root, folders, class_name=lambda folder: folder.relative_to(root).as_posix())
    return classes + beside(root, root)


@dataclass(frozen=True)
class SpeciesSplit:
    """Which species a classifier learns, and which it meets as unknown ones; sorted.

    Attributes:
        known: Classes of the in-distribution set.
        held_out: Classes that are OOD.
    """

    known: tuple[str, ...]
    held_out: tuple[str, ...]


def split_species(class_names: Iterable[str], held_out: float, seed: int) -> SpeciesSplit:
    """Hold some species of every supercategory out (the paper, appendix C: fine-tune on some species, test on others).

    Each supercategory is drawn by itself, by the seed and its name: whichever others are there, and in whatever order
    the names come, the same of its species are held out.

    Args:
        class_names: `<supercategory>/<species>` of each class; repeated names count once.
        held_out: Share of a supercategory's species, above 0 and below 1; rounded, but at least one is held out and at
            least one is known.
        seed: Of the draw.

    Raises:
        ValueError: The share is out of range, a name has no supercategory, or a supercategory has a single species.

    >>> split_species(["Fish/a", "Fish/b", "Fish/c", "Fungi/a", "Fungi/b"], held_out=0.3, seed=0)
    SpeciesSplit(known=('Fish/b', 'Fish/c', 'Fungi/b'), held_out=('Fish/a', 'Fungi/a'))
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out = {held_out:g}: the share of held-out species is above 0 and below 1")
    names = sorted(set(class_names))
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(name.partition("/")[0], []).append(name)
    problems = []
    if bare := [name for name in names if "/" not in name]:
        problems.append(f"{len(bare):,} classes are not named <supercategory>/<species>: {listed(bare)}")
    if single := [name for name, species in members.items() if len(species) == 1 and "/" in species[0]]:
        problems.append(f"supercategories with a single species cannot be split: {listed(single)}")
    if problems:
        raise ValueError("; ".join(problems))
    unknown = {
        name for supercategory, species in members.items() for name in _drawn(supercategory, species, held_out, seed)
    }
    return SpeciesSplit(tuple(name for name in names if name not in unknown), tuple(sorted(unknown)))


def _drawn(supercategory: str, species: Sequence[str], share: float, seed: int) -> list[str]:
    count = min(max(round(share * len(species)), 1), len(species) - 1)
    order = np.random.default_rng([seed, zlib.crc32(supercategory.encode())]).permutation(len(species))
    return [species[number] for number in order[:count]]
