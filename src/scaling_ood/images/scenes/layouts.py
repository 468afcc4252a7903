"""Layouts of labelled scenes: which there are, and what the images of one are.

A reader is one function that says which files each split has, registered under the layout's name with `@scene_layout`
together with the label maps that fit its files and the split that the benchmark makes of them. It looks at names and
folders only and opens no image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scaling_ood.images.scenes.pairing import Pairing, Scene, SplitFiles, pair
from scaling_ood.images.scenes.splits import SplitRule, Subset
from scaling_ood.images.wording import unknown

Reader = Callable[[Path, Sequence[Pairing]], Iterator[SplitFiles]]


@dataclass(frozen=True)
class SceneLayout:
    """A layout and what belongs to it.

    Attributes:
        name: By which YAML asks for it.
        reader: Lists the files.
        label_maps: Those that fit its label images, the usual one first; none where the user writes the map.
        rule: Roles of the images; None where the user writes it.
        subsets: Of the test images.
    """

    name: str
    reader: Reader
    label_maps: tuple[str, ...]
    rule: SplitRule | None
    subsets: dict[str, Subset] = field(default_factory=dict)


_LAYOUTS: dict[str, SceneLayout] = {}


def scene_layout(
    name: str, label_maps: tuple[str, ...], rule: SplitRule | None, subsets: dict[str, Subset] | None = None
) -> Callable[[Reader], Reader]:
    """Register a reader."""

    def register(reader: Reader) -> Reader:
        _LAYOUTS[name] = SceneLayout(name, reader, label_maps, rule, subsets or {})
        return reader

    return register


def scene_layout_names() -> list[str]:
    """Every layout that can be read, in alphabetical order."""
    return sorted(_LAYOUTS)


def find_scene_layout(name: str) -> SceneLayout:
    """A registered layout.

    Raises:
        ValueError: Unknown layout; says the nearest match and all known ones.
    """
    if name not in _LAYOUTS:
        raise ValueError(unknown("scene layout", name, _LAYOUTS))
    return _LAYOUTS[name]


def list_scenes(
    layout: str,
    folder: Path,
    splits: Sequence[str] | None = None,
    photographs: bool = True,
    pairings: Sequence[Pairing] = (),
) -> list[Scene]:
    """All labelled images of a data set, sorted by split and key: the first part of `read_scenes`."""
    return read_scenes(layout, folder, splits, photographs, pairings)[0]


def read_scenes(
    layout: str,
    folder: Path,
    splits: Sequence[str] | None = None,
    photographs: bool = True,
    pairings: Sequence[Pairing] = (),
) -> tuple[list[Scene], dict[str, str]]:
    """All labelled images of a data set, and the files that are left out.

    Args:
        layout: A registered layout.
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
    found = find_scene_layout(layout)
    if bool(pairings) != (layout == "paired_folders"):
        raise ValueError("paired_folders needs the folders of each split; the other layouts know theirs")
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    files = list(found.reader(folder, pairings))
    there = [each.split for each in files]
    wrong = [split for split in splits or [] if split not in there]
    if wrong:
        raise ValueError(f"{layout}: " + "; ".join(unknown("split", split, there) for split in wrong))
    wanted = [each for each in files if splits is None or each.split in splits]
    left_out = {path: reason for each in wanted for path, reason in each.left_out.items()}
    return pair(wanted, f"{layout} in {folder}", photographs), left_out
