"""Drafts of benchmarks of whole images: one class each, or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scaling_ood.images import list_files
from scaling_ood.images.folders import subfolders
from scaling_ood.images.inventory import inventory
from scaling_ood.images.multi_label import LAYOUTS as LABELLED
from scaling_ood.images.multi_label import MultiLabelSource
from scaling_ood.images.multi_label.sources import read_listing
from scaling_ood.tasks.drafts import DraftError, Said, flow, section
from scaling_ood.tasks.drafts.image_sets import (
    NOISE,
    FoundSet,
    free_name,
    known_folder,
    ood_sets,
    roles,
    shared_roles,
    split_folders,
)
from scaling_ood.wording import unknown

_NETWORK = {"architecture": "efficientnet_lite0", "weights": "trained_head"}
_ABOUT_NETWORK = (
    "Small, and its weights are installed; a head is trained on its features. docs/own-model.md has others."
)
_ABOUT_ROLES = "What trains the network, fits the detectors, and is tested. Roles that share a split draw from it."


def draft_classes(setting: str, root: Path, said: Said, library: Collection[str]) -> list[str]:
    """Parameters of a benchmark of images that are of one class each.

    Args:
        setting: Whose.
        root: The person's folder, which becomes the data root.
        said: The folder in it that is in-distribution, and OOD classes in that one; by default its shape tells.
        library: Names of data sets that are taken.

    Raises:
        DraftError: No in-distribution set can be told, or it is too small.
    """
    said.only("in_dist", "ood")
    place = known_folder(root, said)
    splits = split_folders(place)
    layout = "image_folder" if splits else inventory(place).fitting
    try:
        entries = [one for one in list_files(layout, place, splits or None) if not one.left_out] if layout else []
    except (ValueError, FileNotFoundError) as error:
        raise DraftError(f"{place}: {error}") from error
    images: dict[str, Counter[str]] = {}
    for one in entries:
        images.setdefault(one.split, Counter())[one.class_name] += 1
    classes = {name for of_split in images.values() for name in of_split} - {""}
    strange = [unknown("class", name, classes) for name in said.ood if name not in classes]
    if strange:
        raise DraftError(f"{place}: {'; '.join(strange)}")
    beside = {name: sum(of_split.pop(name, 0) for of_split in images.values()) for name in said.ood}
    classes -= {*beside}
    if len(classes) < 2:  # noqa: PLR2004
        raise DraftError(f"{place} has {len(classes)} classes, and a classifier needs two. Found: {inventory(place)}")
    name = free_name(root.name if place == root else place.name, library)
    folder, counted = place.relative_to(root).as_posix(), len(entries) - sum(beside.values())
    part = partial(FoundSet, folder=folder, layout=layout, splits=tuple(splits) or None)
    known = part(name, images=counted, classes=tuple(sorted(classes)) if beside else None)
    taken = [*library, name]
    ood = []
    for odd, number in beside.items():
        ood.append(part(free_name(odd, taken), images=number, classes=(odd,)))
        taken.append(ood[-1].name)
    if place != root or splits:
        ood += ood_sets(root, splits if place == root else [place.name], taken)
    comments = {name: f"In-distribution: {counted:,} images of {len(classes):,} classes."}
    data = {"in_dist": name, "ood": _ood_names(ood), **roles(images)}
    return _written(setting, [known, *ood], comments, data, 1 / len(classes), ood)


def draft_labels(setting: str, root: Path, said: Said, library: Collection[str]) -> list[str]:
    """Parameters of a benchmark of images of several classes each, as `draft_classes`."""
    said.only("in_dist")
    candidates = [root / said.in_dist] if said.in_dist else [root, *subfolders(root)]
    found = {place: layout for place in candidates if (layout := LABELLED.recognised(place))}
    if len(found) != 1:
        shapes = "\n".join(f"- {LABELLED.expected(layout)}" for layout in LABELLED)
        there = ", ".join(str(place) for place in found) or "none"
        raise DraftError(
            f"which folder holds the annotated images? Recognised of {root} and the folders in it: {there}. Name it "
            f"(IN_DIST=FOLDER, --in-dist FOLDER):\n{shapes}"
        )
    ((place, layout),) = found.items()
    try:
        classes, images, others = read_listing(MultiLabelSource("", place, layout))
    except (ValueError, FileNotFoundError) as error:
        raise DraftError(f"{place}: {error}") from error
    labelled = Counter(one.split for one in images if one.labels is not None)
    if not labelled:
        raise DraftError(f"{place}: none of {len(images):,} images has labels")
    name = free_name(root.name if place == root else place.name, library)
    own = {place.name}
    if place == root:
        own = {path.split("/")[0] for path in (*(one.path for one in images), *others)}
        own |= {each.name for each in subfolders(root) if each.name.startswith("Segmentation")}
    ood = ood_sets(root, own, library)
    labels = {"source": "photographs", "layout": layout, "folder": place.relative_to(root).as_posix()}
    data = {"in_dist": name, "labelled": labels, "ood": _ood_names(ood), **shared_roles(labelled)}
    shown = sum(len(one.labels or ()) for one in images) / (sum(labelled.values()) * len(classes))
    recipe = {"input_px": 224, "epochs": 50, "batch_images": 32}
    return _written(setting, ood, {}, data, shown, ood, recipe)


def _ood_names(ood: Sequence[FoundSet]) -> list[str]:
    return [one.name for one in ood] or list(NOISE)


def _written(
    setting: str,
    sets: Sequence[FoundSet],
    comments: Mapping[str, str],
    data: Mapping[str, Any],
    chance: float,
    ood: Sequence[FoundSet],
    recipe: Mapping[str, Any] | None = None,
) -> list[str]:
    lines = ["# Folders are below data_root, which globals.yml names.", "data_sets:"] if sets else []
    for one in sets:
        lines += [f"  # {comments.get(one.name, f'OOD: {one.images:,} images.')}", f"  {one.name}: {flow(one.entry())}"]
    told = "" if ood else " No other folder with images was found: noise stands in for OOD sets."
    lines += ["", f"{setting}:", *section("data", data, _ABOUT_ROLES + told, 2)]
    least = {"least_quality": round(chance + (1 - chance) / 5, 2)}
    lines += ["  networks:", *section("classifier", {**_NETWORK, **(recipe or {}), **least}, _ABOUT_NETWORK, 4)]
    lines[-1] += "  # Under this no score is computed: set it to what the network should reach."
    return lines
