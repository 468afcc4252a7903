"""ImageNet as it lies on people's disks: ILSVRC 2012, and ImageNet-21K-P."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from scaling_ood.images.folders import class_folders, entries_in, first_there, subfolders
from scaling_ood.images.layouts import LayoutError
from scaling_ood.images.listing import LAYOUTS, Entry, Wanted
from scaling_ood.wording import listed

KAGGLE_TRUTH = "LOC_val_solution.csv"
DEVKIT_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_DEVKITS = (".", "ILSVRC2012_devkit_t12/data", "data", "devkit/data")


@LAYOUTS.reader(
    "imagenet",
    f"train/<wnid>/<image>; val/<wnid>/<image>, or val/<image> with {KAGGLE_TRUTH} or {DEVKIT_TRUTH}",
    [f"{place}{name}" for name in (KAGGLE_TRUTH, DEVKIT_TRUTH) for place in ("", "*/", "*/*/")],
)
def _imagenet(root: Path, wanted: Wanted) -> list[Entry]:
    """ILSVRC 2012: `train/<wnid>/*`; `val/<wnid>/*`, or the flat `val/ILSVRC2012_val_<number>.JPEG` with its truth.

    Either split may be missing. Its folder may also be called `ILSVRC2012_img_<split>`, or lie in Kaggle's
    `ILSVRC/Data/CLS-LOC`. The truth of a flat `val` is Kaggle's `LOC_val_solution.csv`, or the development kit's
    `ILSVRC2012_validation_ground_truth.txt` with `meta.mat`, in its folder or in the data set's.
    """
    entries = []
    places = {split: _split_folders(split) for split in ("train", "val")}
    found = {split: first_there(root, named) for split, named in places.items()}
    if not any(found.values()):
        looked_for = [each for named in places.values() for each in named]
        raise FileNotFoundError(f"neither train nor val in {root}; looked for {listed(looked_for)}")
    for split, folder in found.items():
        if folder is not None and wanted.split(split):
            entries += _split(root, split, folder)
    return entries


@LAYOUTS.reader(
    "imagenet_21k_p",
    "imagenet21k_train/<wnid>/<image>, imagenet21k_val/<wnid>/<image>",
    ["imagenet21k_train", "imagenet21k_val", "imagenet21k_resized"],
)
def _imagenet_21k_p(root: Path, wanted: Wanted) -> list[Entry]:
    """ImageNet-21K-P: `imagenet21k_{train,val}/<wnid>/*`, in `imagenet21k_resized/` or without it.

    10,450 classes in the `winter21` release that the official site has, 11,221 in `fall11`, which the networks know.
    Either split may be missing; the classes with few images, `imagenet21k_small_classes`, are left out.
    """
    names = {split: f"imagenet21k_{split}" for split in ("train", "val")}
    found = {split: first_there(root, [name, f"imagenet21k_resized/{name}"]) for split, name in names.items()}
    if not any(found.values()):
        raise FileNotFoundError(f"neither {' nor '.join(names.values())} in {root}")
    folders = [
        (split, each)
        for split, folder in found.items()
        if folder is not None and wanted.split(split)
        for each in subfolders(folder)
    ]
    return class_folders(root, folders)


def _split_folders(split: str) -> list[str]:
    return [split, f"ILSVRC2012_img_{split}", f"ILSVRC/Data/CLS-LOC/{split}", f"Data/CLS-LOC/{split}"]


def _split(root: Path, split: str, folder: Path) -> list[Entry]:
    classes, files = subfolders(folder), entries_in(root, folder, split, deep=False)
    flat = [Path(one.path) for one in files if not one.left_out]
    if not flat:
        return class_folders(root, [(split, each) for each in classes])
    if classes:
        raise LayoutError(
            f"{folder} holds {len(flat):,} images beside {len(classes):,} class folders, such as {flat[0].name}: "
            "all or none must be in class folders"
        )
    if split == "train":
        raise LayoutError(f"{folder} has no class folders, but {len(flat):,} images, such as {flat[0].name}")
    truth = _truth(root)
    unknown = [path.name for path in flat if path.stem not in truth]
    if unknown:
        raise LayoutError(f"{len(unknown):,} images of {folder} have no known class: {listed(unknown)}")
    return [one if one.left_out else replace(one, class_name=truth[Path(one.path).stem]) for one in files]


def _truth(root: Path) -> Mapping[str, str]:
    """Synset of each validation image, by the stem of its file name."""
    if (solution := first_there(root, [KAGGLE_TRUTH, f"ILSVRC/{KAGGLE_TRUTH}"])) is not None:
        return _kaggle_truth(solution)
    devkits = [f"{place}/{DEVKIT_TRUTH}" for place in _DEVKITS]
    if (numbers := first_there(root, devkits)) is None:
        raise FileNotFoundError(
            f"the images of {root / 'val'} are in no class folders, and their classes are not known: {root} lacks "
            f"{KAGGLE_TRUTH} (from Kaggle), and {DEVKIT_TRUTH} with meta.mat (ILSVRC2012_devkit_t12)"
        )
    return _devkit_truth(numbers)


def _kaggle_truth(path: Path) -> dict[str, str]:
    """Lines such as `ILSVRC2012_val_00048981,n03995372 85 1 499 272`: the first word of the boxes is the class."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        truth = {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}
    except (KeyError, IndexError, AttributeError) as error:
        raise LayoutError(f"{path} has no ImageId and PredictionString in every row") from error
    wrong = sorted({wnid for wnid in truth.values() if not re.fullmatch(r"n\d{8}", wnid)})
    if wrong:
        raise LayoutError(f"{path}: no synset: {listed(wrong)}")
    return truth


def _devkit_truth(path: Path) -> dict[str, str]:
    """A class number (1 to 1,000) per line, in the order of the images; `meta.mat` beside it gives its synset."""
    meta = path.parent / "meta.mat"
    if not meta.is_file():
        raise FileNotFoundError(f"no {meta}, which says what the class numbers of {path.name} mean")
    from scipy.io import loadmat

    synsets = loadmat(meta, squeeze_me=True)["synsets"]
    wnids = {int(number): str(wnid) for number, wnid in zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)}
    numbers = [int(line) for line in path.read_text(encoding="ascii").split()]
    unknown = sorted(set(numbers) - set(wnids))
    if unknown:
        raise LayoutError(f"{path}: classes that meta.mat does not know: {listed([str(each) for each in unknown])}")
    return {f"ILSVRC2012_val_{image:08d}": wnids[number] for image, number in enumerate(numbers, start=1)}
