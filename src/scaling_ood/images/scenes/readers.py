"""Readers of the official layouts of labelled scenes, and the general one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from scaling_ood.images.scenes.listing import LAYOUTS, OWN_OUTPUTS
from scaling_ood.images.scenes.pairing import LABEL_SUFFIXES, Pairing, SplitFiles, folder_split
from scaling_ood.images.scenes.splits import SplitRule, Subset
from scaling_ood.images.walking import walk


@LAYOUTS.reader(
    "streethazards",
    "train/{images,annotations}/{training,validation}/<town>/<image>, test/{images,annotations}/test/<town>/<image>",
    ["train/annotations", "test/annotations/test"],
    ("streethazards", "streethazards_masked"),
    SplitRule({"train": "train", "validation": "validation", "test": "test"}),
)
def _streethazards(root: Path, _given: Sequence[Pairing]) -> Iterator[SplitFiles]:
    """Two archives, each with `images` and `annotations`: 5,125, 1,031 and 1,500 images.

    `train/images/{training,validation}/<town>/*.png` and `test/images/test/<town>/*.png`.
    """
    for split, archive, folder in (
        ("train", "train", "training"),
        ("validation", "train", "validation"),
        ("test", "test", "test"),
    ):
        yield folder_split(root, Pairing(split, f"{archive}/images/{folder}", f"{archive}/annotations/{folder}"))


_BDD_RULE = SplitRule({"train": "train", "val": "validation"}, anomalous="test")


@LAYOUTS.reader(
    "bdd_anomaly",
    "[seg/]train_labels/{train,val}/<id>_train_id.png, and images/10k/{train,val}/<id>.jpg",
    ["seg/train_labels", "train_labels"],
    ("bdd_anomaly", "bdd_anomaly_masked"),
    _BDD_RULE,
)
def _bdd_anomaly(root: Path, _given: Sequence[Pairing]) -> Iterator[SplitFiles]:
    """The released labels, ids shifted by 2: `[seg/]train_labels/{train,val}/<id>_train_id.png`."""
    yield from _bdd(root, ("seg/train_labels", "train_labels"))


@LAYOUTS.reader(
    "bdd100k",
    "[seg/]labels/{train,val}/<id>.png or labels/sem_seg/masks/…, and images/10k/{train,val}/<id>.jpg",
    ["images/10k", "seg/labels", "labels/sem_seg/masks"],
    ("bdd100k", "bdd100k_masked"),
    _BDD_RULE,
)
def _bdd100k(root: Path, _given: Sequence[Pairing]) -> Iterator[SplitFiles]:
    """The plain labels, ids 0..18 and 255: `[seg/]labels/{train,val}/` or `labels/sem_seg/masks/{train,val}/`."""
    yield from _bdd(root, ("seg/labels", "labels/sem_seg/masks", "labels"))


def _bdd(root: Path, labels: Sequence[str]) -> Iterator[SplitFiles]:
    """BDD100K's photographs: `images/10k/{train,val}/<id>.jpg` or `[seg/]images/{train,val}/<id>.jpg`."""
    for split in ("train", "val"):
        images = [f"{folder}/{split}" for folder in ("images/10k", "seg/images", "images")]
        pairing = Pairing(
            split, _first(root, images), _first(root, [f"{each}/{split}" for each in labels]), label_suffix="_train_id"
        )
        yield folder_split(root, pairing)


@LAYOUTS.reader(
    "fishyscapes_lost_and_found",
    "fishyscapes_lostandfound/<number>_<name>_labels.png, leftImg8bit/{train,test}/<scene>/<name>_leftImg8bit.png",
    ["fishyscapes_lostandfound"],
    ("fishyscapes_lost_and_found",),
    SplitRule({"val": "test"}),
)
def _fishyscapes(root: Path, _given: Sequence[Pairing]) -> Iterator[SplitFiles]:
    """Two archives, paired by name.

    `fishyscapes_lostandfound/<number>_<name>_labels.png`, `leftImg8bit/{train,test}/<scene>/<name>_leftImg8bit.png`.
    The labels number the 100 frames of the validation set, which come from both splits of Lost & Found.
    """
    labels = _first(root, ["fishyscapes_lostandfound", "."])
    images = _first(root, ["leftImg8bit", "lostandfound/leftImg8bit"])
    files = SplitFiles("val", only_labelled=True, missing_images="" if (root / images).is_dir() else images)
    by_name = {
        path.stem.removesuffix("_leftImg8bit"): path.relative_to(root).as_posix() for path in files.files(root, images)
    }
    for path in files.files(root, labels, LABEL_SUFFIXES, deep=False):
        if not path.stem.endswith("_labels"):
            continue
        match = re.fullmatch(r"\d+_((.+)_\d+_\d+)_labels", path.stem)
        if match is None:
            files.problems.append(f"{path.name} is not named <number>_<scene>_<number>_<number>_labels.png")
            continue
        key = path.stem.removesuffix("_labels")
        files.labels[key] = path.relative_to(root).as_posix()
        files.sequences[key] = match[2]
        if match[1] in by_name:
            files.images[key] = by_name[match[1]]
    yield files


@LAYOUTS.reader(
    "road_anomaly",
    "frames/<name>.jpg or .webp, frames/<name>.labels/labels_semantic.png",
    ["frames/*.labels"],
    ("road_anomaly", "road_anomaly_binary"),
    SplitRule({"all": "test"}),
)
def _road_anomaly(root: Path, _given: Sequence[Pairing]) -> Iterator[SplitFiles]:
    """`frames/<name>.{jpg,webp}` and `frames/<name>.labels/labels_semantic.png`; 60 frames."""
    files = SplitFiles("all")
    frames = root / "frames"
    if not frames.is_dir():
        files.problems.append("no folder frames")
    files.images = {
        path.stem: path.relative_to(root).as_posix() for path in files.files(root, "frames") if path.parent == frames
    }
    files.labels = {
        path.parent.name.removesuffix(".labels"): path.relative_to(root).as_posix()
        for path in (found.path for found in walk(frames, LABEL_SUFFIXES) if not found.left_out)
        if path.name == "labels_semantic.png" and path.parent.parent == frames
    }
    files.sequences = dict.fromkeys(files.labels, "")
    yield files


@LAYOUTS.reader(
    "camvid",
    "{train,val,test}/<sequence>_<frame>.<suffix>, {train,val,test}annot/<sequence>_<frame>.png",
    [],
    ("camvid_anomaly",),
    SplitRule({"train": "train", "val": "validation", "test": "validation"}, anomalous="test"),
    {
        "all": Subset(),
        "held_out_splits": Subset(splits=("val", "test")),
        "unseen_sequences": Subset(unseen_sequences=True),
    },
)
def _camvid(root: Path, _given: Sequence[Pairing]) -> Iterator[SplitFiles]:
    """SegNet's copy of CamVid: `{train,val,test}/<sequence>_<frame>.*` and `{train,val,test}annot/`."""
    for split in ("train", "val", "test"):
        yield folder_split(root, Pairing(split, split, f"{split}annot", sequence_until="_"))


@LAYOUTS.reader(
    OWN_OUTPUTS,
    "labels/{test,fit}/<scene>.png, beside logits of the same names; fit may be missing",
    [],
    (),
    SplitRule({"fit": "validation", "test": "test"}),
)
def _own_outputs(root: Path, _given: Sequence[Pairing]) -> Iterator[SplitFiles]:
    """`labels/{test,fit}/*.png` beside a person's logits; `fit`, and photographs in `images`, may be missing."""
    for split in ("fit", "test"):
        if split == "test" or (root / "labels" / split).is_dir():
            yield folder_split(root, Pairing(split, f"images/{split}", f"labels/{split}"))


@LAYOUTS.reader("paired_folders", "the folders that data.paired names", [], (), None)
def _paired_folders(root: Path, given: Sequence[Pairing]) -> Iterator[SplitFiles]:
    """Any data set that keeps photographs and label PNGs in folders of their own, paired by stem."""
    for pairing in given:
        yield folder_split(root, pairing)


def _first(root: Path, folders: Sequence[str]) -> str:
    """The first folder that is there; the first of all if none is, so that an error names the usual one."""
    return next((folder for folder in folders if (root / folder).is_dir()), folders[0])
