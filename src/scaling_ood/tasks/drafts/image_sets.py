"""What of a person's folder is the in-distribution set, what are OOD sets, and which split plays which role."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_ood.images import LAYOUTS, LayoutError, list_files
from scaling_ood.images.folders import SPLITS, TESTING, TRAINING, VALIDATION, subfolders
from scaling_ood.images.inventory import Inventory, inventory
from scaling_ood.parameters.common import RESERVED, unfit_names
from scaling_ood.tasks.drafts import DraftError, Said
from scaling_ood.wording import listed, unknown

KNOWN = ("in_dist", "in_distribution", "in-distribution", "in", "id", "known")
OOD = ("ood", "out", "out_of_distribution", "out-of-distribution", "unknown")
"""Names of folders that say it; those of `OOD` hold a folder for each set."""

FIT_SHARE, TRAIN_SHARE = 0.2, 0.6
_FEW = 20
"""Of a class with fewer images a drawn share may leave nothing."""
NOISE = ("gaussian", "rademacher", "blobs")


@dataclass(frozen=True)
class FoundSet:
    """A set of images in a folder.

    Attributes:
        name: Of the data set.
        folder: Relative to the person's folder.
        layout: By which it is read.
        images: Its number of images.
        splits: Which of its splits count; None takes all.
        classes: Which of its classes count; None takes all.
    """

    name: str
    folder: str
    layout: str
    images: int
    splits: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None

    def entry(self) -> dict[str, Any]:
        """Its entry of the library."""
        parts = {"splits": self.splits, "classes": self.classes}
        stated = {part: list(names) for part, names in parts.items() if names}
        return {"source": "photographs", "layout": self.layout, "folder": self.folder, **stated}


def split_folders(root: Path) -> list[str]:
    """Names of the folders that are splits and hold class folders with images."""
    return [
        each.name
        for each in subfolders(root)
        if each.name.lower() in SPLITS and any(depth >= 1 for depth in inventory(each).images)
    ]


def known_folder(root: Path, said: Said) -> Path:
    """The folder of the in-distribution set: the root itself where it has splits, else one directly in it.

    Args:
        root: The person's folder.
        said: Its name, if one was given. Where OOD classes are named, and it is not, the root holds the classes.

    Raises:
        DraftError: None has classes, or several have; says what each holds.
    """
    if not said.in_dist and (split_folders(root) or said.ood):
        return root
    found = {each.name: inventory(each) for each in subfolders(root)}
    if said.in_dist:
        if said.in_dist not in found:
            raise DraftError(f"in {root}: {unknown('folder', said.in_dist, found)}")
        return root / said.in_dist
    named = [name for name in found if name.lower() in KNOWN]
    split = [name for name, one in found.items() if one.fitting == "image_folder" and name.lower() not in OOD]
    classes = [name for name, one in found.items() if _has_classes(one) and name.lower() not in OOD]
    for fitting in (named, split, classes):
        if len(fitting) == 1:
            return root / fitting[0]
    told = "\n".join(f"- {name}: {one}" for name, one in found.items()) or f"- {inventory(root)}"
    several = split or classes
    problem = (
        f"any of {', '.join(several)} may be it"
        if several
        else "no folder holds folders of classes with images; put those of the known classes into one folder, or name "
        'those that are OOD (OOD="CLASS CLASS", --ood CLASS), and all others are known'
    )
    raise DraftError(
        f"which folder of {root} is the in-distribution set? {problem}. Name it (IN_DIST=FOLDER, --in-dist FOLDER); "
        f"{LAYOUTS.expected('class_folders')}, {LAYOUTS.expected('image_folder')}. Found:\n{told}"
    )


def _has_classes(found: Inventory) -> bool:
    return found.fitting == "class_folders" and len(found.folders) > 1


def ood_sets(root: Path, not_these: Collection[str], library: Collection[str]) -> list[FoundSet]:
    """Every other folder that holds images; of one that is called `ood` each folder in it."""
    places = []
    for each in subfolders(root):
        if each.name in not_these:
            continue
        inner = subfolders(each)
        directly = 0 in inventory(each).images
        places += inner if each.name.lower() in OOD and inner and not directly else [each]
    return [*_listed(root, places, library)]


def _listed(root: Path, places: Sequence[Path], library: Collection[str]) -> Iterator[FoundSet]:
    taken = set(library)
    for place in places:
        layout = inventory(place).fitting
        if not layout:
            continue
        try:
            images = _count(layout, place)
        except (LayoutError, ValueError, FileNotFoundError):
            # Whatever lies beside its classes: all of it is OOD.
            layout, images = "flat", _count("flat", place)
        if images:
            name = free_name(place.name, taken)
            taken.add(name)
            yield FoundSet(name, place.relative_to(root).as_posix(), layout, images)


def _count(layout: str, place: Path) -> int:
    return sum(not entry.left_out for entry in list_files(layout, place))


def free_name(folder: str, taken: Collection[str]) -> str:
    """A name of a data set after its folder's, that is fit for one and none of those that are taken.

    >>> free_name("my birds (2019)", []), free_name("raccoon", ["raccoon"]), free_name("train", [])
    ('my_birds_2019', 'own_raccoon', 'own_train')
    """
    name = re.sub(r"\W+", "_", folder).strip("_") or "images"
    used = {each.casefold() for each in (*taken, *RESERVED)}
    while name.casefold() in used or name.startswith("mean_") or unfit_names("data set", [name]):
        name = f"own_{name}"[:60]
    return name


def roles(images: Mapping[str, Counter[str]]) -> dict[str, dict[str, Any]]:
    """What trains, what detectors are fitted on, and what is tested.

    Args:
        images: Split to the number of images of each class.

    Raises:
        DraftError: A class of the test has no image to learn from, or there are too few images.
    """
    train, validation, test = (_split_of(images, names) for names in (TRAINING, VALIDATION, TESTING))
    held_out = [split for split in (validation, test) if split]
    if train and held_out:
        if strange := sorted({each for split in held_out for each in images[split]} - set(images[train])):
            raise DraftError(f"{len(strange)} classes have no image in {train}, to learn from: {listed(strange)}")
        half = {} if len(held_out) > 1 else {"share": 0.5}
        return {
            "train": {"split": train},
            "fit": {"split": held_out[0], **half},
            "test": {"split": held_out[-1]},
        }
    split = max(images, key=lambda name: sum(images[name].values()))
    smallest, count = min(images[split].items(), key=lambda one: one[1])
    if count < 3:  # noqa: PLR2004 - one for each role
        raise DraftError(f"class {smallest} has {count} images: to learn, fit and test it takes three at least")
    return {
        "train": {"split": split, **_part(TRAIN_SHARE, count)},
        "fit": {"split": split, **_part(FIT_SHARE, count)},
        "test": {"split": split},
    }


def _part(share: float, smallest: int) -> dict[str, Any]:
    """A share of all images, or so many of each class where the smallest class might get none."""
    return {"share": share} if smallest >= _FEW else {"per_class": max(1, int(share * smallest))}


def shared_roles(splits: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """The same where an image may be of several classes, which are drawn by share alone.

    Args:
        splits: Split to its number of images.
    """
    return roles({split: Counter({"": max(count, _FEW)}) for split, count in splits.items()})


def _split_of(images: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((split for split in images if split.lower() in names), "")
