"""Data sets of labelled scenes: what belongs to each layout, and what the scenes of a data set are.

A reader is one function that says which files each split has, registered under its layout's name with `@LAYOUTS.reader`
together with the label maps that fit its files and the split that the benchmark makes of them. It looks at names and
folders only and opens no image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from scaling_ood.images.layouts import Layouts
from scaling_ood.images.scenes.pairing import Pairing, Scene, SplitFiles, pair
from scaling_ood.images.scenes.splits import SplitRule, Subset
from scaling_ood.storage import listed_at_once
from scaling_ood.wording import refuse_unknown

Reader = Callable[[Path, Sequence[Pairing]], Iterator[SplitFiles]]


class SceneLayout(NamedTuple):
    """A layout and what belongs to it.

    Attributes:
        read: Lists the files.
        label_maps: Those that fit its label images, the usual one first; none where the user writes the map.
        rule: Roles of the images; None where the user writes it.
        subsets: Of the test images.
    """

    read: Reader
    label_maps: tuple[str, ...]
    rule: SplitRule | None
    subsets: Mapping[str, Subset] = MappingProxyType({})


LAYOUTS = Layouts(SceneLayout)

OWN_OUTPUTS = "own_outputs"
"""The layout whose label images hold the numbers of the classes of a person's logits."""


def list_scenes(
    layout: str,
    folder: Path,
    splits: Sequence[str] | None = None,
    photographs: bool = True,
    pairings: Sequence[Pairing] = (),
) -> tuple[list[Scene], dict[str, str]]:
    """All labelled images of a data set, and the files that are left out.

    Args:
        layout: One of `LAYOUTS`.
        folder: The data set's own folder.
        splits: Which of its splits to list; None lists all. Folders of the others may be missing.
        photographs: Whether every label must have its photograph; without, labels alone make the list.
        pairings: Folders of each split, for `paired_folders` only.

    Returns:
        Scenes, sorted by split and key; path of every file that is left out to the reason.

    Raises:
        ValueError: Unknown layout or split; pairings that the layout does not take, or none where it needs them.
        FileNotFoundError: The data set's folder is missing.
        UnpairedError: Missing folders, labels without photograph, photographs without label; all of it at once.
    """
    read = LAYOUTS[layout].read
    if bool(pairings) != (layout == "paired_folders"):
        raise ValueError("paired_folders needs the folders of each split; the other layouts know theirs")
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    files = list(read(listed_at_once(folder), pairings))
    refuse_unknown("split", splits or (), [each.split for each in files], layout)
    wanted = [each for each in files if splits is None or each.split in splits]
    left_out = {path: reason for each in wanted for path, reason in each.left_out.items()}
    return pair(wanted, f"{layout} in {folder}", photographs), left_out
