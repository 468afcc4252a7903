"""Drafts of benchmarks of labelled scenes: which folder holds the labels of which, and which ids are anomalous."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from scaling_ood.images.folders import TESTING, TRAINING, VALIDATION, subfolders
from scaling_ood.images.formats import image_suffixes
from scaling_ood.images.inventory import inventory
from scaling_ood.images.scenes import LAYOUTS
from scaling_ood.images.scenes.pairing import LABEL_SUFFIXES
from scaling_ood.images.scenes.reading import LabelCount, count_labels
from scaling_ood.images.walking import is_hidden, walk
from scaling_ood.tasks.drafts import DraftError, Said, flow, section
from scaling_ood.tasks.drafts.image_sets import free_name

ROLES = {"train": TRAINING, "validation": VALIDATION, "test": TESTING}
VOID = 255
_ABOUT_SPLITS = "The best epoch is chosen on `validation`; no anomaly may be in it or in `train`."
_MOST_FOLDERS = 500
_EDGE_PX = 360
"""Shorter side at which scenes go through the network; smaller ones as they are."""


@dataclass(frozen=True)
class Paired:
    """A folder of photographs and one of label images, relative to the data set's.

    Attributes:
        images: Of photographs.
        labels: Of label images.
        suffixes: Text between the common name and the ending, of a photograph and of a label image.
        files: The label images, absolute.
    """

    images: str
    labels: str
    suffixes: tuple[str, str]
    files: tuple[Path, ...]

    def entry(self, role: str) -> dict[str, str]:
        """One split of `paired`."""
        given = dict(zip(("image_suffix", "label_suffix"), self.suffixes, strict=True))
        return {"images": self.images, "labels": self.labels, "role": role} | {k: v for k, v in given.items() if v}


def draft_scenes(setting: str, root: Path, said: Said) -> list[str]:
    """Parameters of a benchmark of labelled scenes.

    Args:
        setting: Whose.
        root: The person's folder, which becomes the data root.
        said: The ids of anomalous pixels; by default those that only test scenes show.

    Raises:
        DraftError: Photographs and label images of three splits cannot be told, or no id is anomalous.
    """
    said.only("anomalies")
    for place in (root, *subfolders(root)):
        if layout := LAYOUTS.recognised(place):
            folder = place.relative_to(root).as_posix()
            data = {"in_dist": free_name(place.name, ()), "layout": layout, "folder": folder}
            return [f"{setting}:", *section("data", data, "An official layout.", 2), *_network(None, 8)]
    pairs = {role: pair for role, names in ROLES.items() if (pair := _pair(root, names))}
    if absent := [role for role in ROLES if role not in pairs]:
        raise DraftError(
            f"no photographs with label images for {', '.join(absent)} in {root}. Expected are two folders for each "
            "split, called after it (train, val, test), or below ones that are: photographs, and label PNGs of the "
            f"same names. Found: {inventory(root)}"
        )
    counts = {role: _counts(pair.files) for role, pair in pairs.items()}
    shown = {role: _shown(own) for role, own in counts.items()}
    odd = sorted(set(said.anomalies) or shown["test"] - shown["train"] - shown["validation"] - {VOID})
    if not odd:
        told = "; ".join(f"{role}: {', '.join(map(str, sorted(own)))}" for role, own in shown.items())
        raise DraftError(
            f"which ids are anomalous? None is in test scenes alone. Name them: ANOMALY=ID, --anomaly ID. Ids of {told}"
        )
    ids = _ids(shown, odd)
    if len(known := [each for each in ids.values() if isinstance(each, int)]) < 2:  # noqa: PLR2004
        raise DraftError(f"training scenes have {len(known)} classes, and a segmenter needs two")
    leaks = set(odd) & (shown["train"] | shown["validation"])
    data = {"in_dist": free_name(root.name, ()), "layout": "paired_folders", "folder": "."}
    lines = [f"{setting}:", *section("data", data, "Scenes, and PNGs of the same names with the id of each pixel.", 2)]
    splits = {role: pair.entry(role) for role, pair in pairs.items()}
    lines += ["    paired:", *section("splits", splits, _ABOUT_SPLITS, 6)]
    lines += [
        "      # Value of a pixel to its class, numbered from 0, anomaly or void; `names` may give them names.",
        f"      ids: {flow(ids)}",
        *(["      # Every scene with an anomaly is a test scene.", "      anomalous: test"] if leaks else []),
    ]
    sizes = [min(one.height, one.width) for one in counts["train"]]
    return [*lines, *_network(max(sizes), len(pairs["train"].files), len(known))]


def _network(edge: int | None, scenes: int, classes: int = 10) -> list[str]:
    large = edge is None or edge > _EDGE_PX
    recipe: dict[str, Any] = {
        "architecture": "pspnet_efficientnet_lite0_short",
        "weights": "fine_tuned",
        "width": 96,
        "epochs": 10,
        "batch_images": min(4, max(2, scenes)),
        **({"short_edges": [300, _EDGE_PX, 420], "test_edge": _EDGE_PX} if large else {}),
        "label_stride": 1,
        "least_quality": round(1 / classes, 2),
    }
    about = "Small, and the weights of its encoder are installed. docs/own-data.md has larger ones."
    lines = ["  networks:", *section("segmenter", recipe, about, 4)]
    lines[-1] += "  # Mean IoU under which no score is computed: set it to what the network should reach."
    return lines


def _ids(shown: Mapping[str, set[int]], odd: Sequence[int]) -> dict[int, int | str]:
    """Id to train id, `anomaly` or `void`: what no training scene shows cannot be learned."""
    train_ids = {each: number for number, each in enumerate(sorted(shown["train"] - {VOID} - set(odd)))}
    every = sorted(set().union(*shown.values()) | set(odd))
    return {each: "anomaly" if each in odd else train_ids.get(each, "void") for each in every}


def _counts(files: Sequence[Path]) -> list[LabelCount]:
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(count_labels, files))
    if wrong := [f"{path}: {one.problem}" for path, one in zip(files, found, strict=True) if one.problem]:
        raise DraftError(f"{len(wrong)} label images cannot be read, such as {wrong[0]}")
    return found


def _shown(counts: Sequence[LabelCount]) -> set[int]:
    pixels = np.sum([one.pixels for one in counts], axis=0)  # (256,)
    return set(map(int, np.flatnonzero(pixels)))


def _pair(root: Path, names: Sequence[str]) -> Paired | None:
    """The two folders of a split with the most scenes; None where there are none."""
    folders = [each for each in _folders(root) if any(_is_of(part, names) for part in each.relative_to(root).parts)]
    files = {each: [one.path for one in walk(each, image_suffixes()) if not one.left_out] for each in folders}
    there = [each for each in folders if files[each]]
    found = [
        pair
        for images in there
        for labels in there
        if labels not in (images, *images.parents) and images not in labels.parents
        if (pair := _paired(root, images, files[images], labels, files[labels]))
    ]
    return max(found, key=lambda pair: len(pair.files), default=None)


def _is_of(folder: str, names: Sequence[str]) -> bool:
    """Whether a folder is called after a split: `train`, `trainannot`, `train_labels`."""
    return any(folder.lower() == name or folder.lower() in (f"{name}annot", f"{name}_labels") for name in names)


def _folders(root: Path) -> list[Path]:
    found: list[Path] = []
    for place, inside, _ in os.walk(root):
        inside[:] = sorted(name for name in inside if not is_hidden(name))
        found += [Path(place, name) for name in inside]
        if len(found) > _MOST_FOLDERS:
            break
    return found


def _paired(
    root: Path, images: Path, photographs: Sequence[Path], labels: Path, label_files: Sequence[Path]
) -> Paired | None:
    """Two folders whose files have the same names, if the second holds label images."""
    if any(path.suffix.lower() not in LABEL_SUFFIXES for path in label_files) or count_labels(label_files[0]).problem:
        return None
    for suffixes in _suffixes(photographs, label_files):
        keys = [
            {each.relative_to(folder).with_name(each.stem.removesuffix(suffix)).as_posix() for each in files}
            for folder, files, suffix in zip((images, labels), (photographs, label_files), suffixes, strict=True)
        ]
        if keys[0] == keys[1] and len(keys[1]) == len(label_files) and not _is_labels(photographs[0], images, labels):
            place = (images.relative_to(root).as_posix(), labels.relative_to(root).as_posix())
            return Paired(*place, suffixes, tuple(label_files))
    return None


def _is_labels(photograph: Path, images: Path, labels: Path) -> bool:
    """Whether what would be the photographs are label images too: grey photographs are, unless names tell."""
    both = photograph.suffix.lower() in LABEL_SUFFIXES and not count_labels(photograph).problem
    words = ("label", "annot", "mask", "gt", "seg")
    told = [any(word in part.lower() for word in words for part in place.parts) for place in (images, labels)]
    return both and told != [False, True]


def _suffixes(photographs: Sequence[Path], labels: Sequence[Path]) -> Iterator[tuple[str, str]]:
    yield "", ""
    yield _common_end(photographs), _common_end(labels)
    yield "", _common_end(labels)


def _common_end(files: Sequence[Path]) -> str:
    """What all names end with, from an underscore or hyphen on.

    >>> _common_end([Path("a_1_gt.png"), Path("b_1_gt.png")]), _common_end([Path("a1.png"), Path("b1.png")])
    ('_1_gt', '')
    """
    if len(files) < 2:  # noqa: PLR2004
        return ""
    from_the_end = zip(*(reversed(path.stem) for path in files), strict=False)
    same = takewhile(lambda letters: len(set(letters)) == 1, from_the_end)
    end = "".join(letters[0] for letters in same)[::-1]
    starts = [place for place, letter in enumerate(end) if letter in "_-"]
    return end[starts[0] :] if starts else ""
