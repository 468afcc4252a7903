"""What lies in a folder, for people whose data set does not lie as its layout expects, and which layout would fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from scaling_ood.images.files import printable
from scaling_ood.images.folders import SPLITS
from scaling_ood.images.layouts import Layouts
from scaling_ood.images.listing import LAYOUTS
from scaling_ood.images.walking import HIDDEN, is_hidden, walk
from scaling_ood.wording import counted, listed

_LOOKED_AT = 10_000
"""Files that are enough to tell how deep the images of a folder lie."""

_DEEP = ("directly in it", "one folder down", "two folders down", "deeper")


@dataclass(frozen=True)
class Inventory:
    """What the first files of a folder are.

    Attributes:
        folder: Which.
        folders: Names of the visible folders directly in it.
        images: How many folders down to the number of images there; 3 stands for 3 and more.
        example: How many folders down to one of them, relative to the folder.
        others: Reasons for files that are no images, and how often each applies.
        whole: Whether these are all files.
    """

    folder: Path
    folders: tuple[str, ...]
    images: Counter[int] = field(default_factory=Counter)
    example: dict[int, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    whole: bool = True

    def __str__(self) -> str:
        """In words."""
        there = [
            f"{self.images[depth]:,} {'image' if self.images[depth] == 1 else 'images'} {_DEEP[depth]} "
            f"({self.example[depth]})"
            for depth in sorted(self.images)
        ]
        folders = f"the folders {listed(self.folders, most=8)}" if self.folders else "no folders"
        others = f"; other files: {counted(self.others)}" if self.others else ""
        first = "" if self.whole else f" (of its first {_LOOKED_AT:,} files)"
        return f"{', '.join(there) or 'no image'}, {folders}{others}{first}"

    @property
    def fitting(self) -> str:
        """The layout that fits; empty where there is no image.

        It has a sign of its own there, or it is the general one that has as many folders above most of the images.
        """
        if sign := LAYOUTS.recognised(self.folder):
            return sign
        if not self.images:
            return ""
        depth = max(self.images, key=lambda depth: (self.images[depth], -depth))
        are_splits = bool(self.folders) and all(name.lower() in SPLITS for name in self.folders)
        if depth == 0:
            return "flat"
        if are_splits:
            return "flat_splits" if depth == 1 else "image_folder"
        return "class_folders"


def inventory(folder: Path) -> Inventory:
    """Look at the first files of a folder; one that is not there holds nothing."""
    names = folder.iterdir() if folder.is_dir() else ()
    visible = sorted(printable(each.name) for each in names if each.is_dir() and not is_hidden(each.name))
    files = list(islice(walk(folder), _LOOKED_AT + 1))
    found = Inventory(folder, tuple(visible), whole=len(files) <= _LOOKED_AT)
    for one in files[:_LOOKED_AT]:
        if one.left_out:
            if one.left_out != HIDDEN:
                found.others[printable(one.left_out)] += 1
            continue
        path = one.path.relative_to(folder)
        depth = min(len(path.parts) - 1, len(_DEEP) - 1)
        found.images[depth] += 1
        found.example.setdefault(depth, printable(path.as_posix()))
    return found


def mismatch(layouts: Layouts[Any, Any, ...], layout: str, folder: Path) -> Sequence[str]:
    """What a layout expects of a folder, what is there instead, and which layout would fit, a line each."""
    found = inventory(folder)
    fits = found.fitting if layouts is LAYOUTS else layouts.recognised(folder)
    hint = [f"layout '{fits}' would fit: {layouts.shapes[fits]}"] if fits and fits != layout else []
    return [layouts.expected(layout), f"found in {folder}: {found}", *hint]
