"""What holds for every multi-label layout: names, options and folders; rows of a manifest on the real photographs."""

import re
from pathlib import Path

import pandas as pd
import pytest
from coco_documents import coco_document

from scaling_ood.images.manifest import Claim, partition, quarantine, read_folder, set_digest
from scaling_ood.images.multi_label import (
    LAYOUTS,
    AnnotationError,
    MultiLabelSource,
    is_labelled,
    list_multi_label,
    targets,
)
from scaling_ood.images.multi_label.sources import read_listing

DATA = Path(__file__).parents[3].parent / "shared" / "data"
NAMES = {3: "ant", 1: "bee", 7: "cow"}


def test_the_layouts_are_these():
    assert sorted(LAYOUTS) == ["coco", "table", "voc"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_folder_is_named(tmp_path, layout):
    with pytest.raises(FileNotFoundError, match=re.escape(f"no folder {tmp_path / 'absent'}")):
        read_listing(MultiLabelSource("x", tmp_path / "absent", layout))


def test_an_unknown_layout_names_the_nearest_and_all(tmp_path):
    message = "unknown layout 'cocoa'; did you mean 'coco'? (known: coco, table, voc)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_listing(MultiLabelSource("x", tmp_path, "cocoa"))


def test_options_that_mean_nothing_to_a_layout_are_all_named(tmp_path):
    source = MultiLabelSource("x", tmp_path, "table", year=2012, hard_objects="ignored", unlabelled=("test",))
    with pytest.raises(ValueError, match=r"no year .*no hard_objects .*no unlabelled .*takes: manifest, classes"):
        read_listing(source)
    with pytest.raises(ValueError, match="layout coco takes no manifest"):
        read_listing(MultiLabelSource("x", tmp_path, "coco", manifest="m.csv"))


def test_an_unknown_rule_for_hard_objects_names_both(tmp_path):
    message = r"unknown rule for hard objects 'ignore'; did you mean 'ignored'\? \(known: counted, ignored\)"
    with pytest.raises(ValueError, match=message):
        read_listing(MultiLabelSource("x", tmp_path, "voc", hard_objects="ignore"))


@pytest.fixture
def source(coco_set):
    """Six images to train on, four of the split val."""
    boxes = [(0, 3), (0, 1), (1, 7), (2, 3), (4, 1), (4, 7), (5, 1)]
    root = coco_set(
        {
            "train2017": coco_document({number: f"{number}.jpg" for number in range(6)}, boxes, NAMES),
            "val2017": coco_document({number: f"{number}.jpg" for number in range(4)}, boxes[:4], NAMES),
        }
    )
    return MultiLabelSource("coco", root, "coco")


def test_rows_of_a_manifest_hold_paths_and_labels(source):
    rows, classes, others = list_multi_label(source)
    assert classes == ("bee", "ant", "cow")
    assert rows["split"].value_counts().to_dict() == {"train": 6, "val": 4}
    assert rows["id"].is_unique
    assert all((source.folder / path).is_file() for path in rows["path"])
    train = rows[rows["split"] == "train"]
    assert targets(train, classes).tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 1], [1, 0, 0]]
    assert others.empty


def test_only_the_splits_that_are_asked_for_are_read(source):
    (source.folder / "annotations/instances_train2017.json").unlink()
    only_val = MultiLabelSource("coco", source.folder, "coco", splits=["val"])
    assert len(list_multi_label(only_val)[0]) == 4
    with pytest.raises(AnnotationError, match="instances_train2017"):
        list_multi_label(source)


def test_the_fingerprint_changes_with_the_labels_and_not_with_the_place(source, tmp_path_factory):
    before, *_ = list_multi_label(source)
    rows = before.assign(content="x")
    moved = tmp_path_factory.mktemp("elsewhere") / "coco"
    (moved / "images").mkdir(parents=True)
    for name in ("train2017", "val2017"):
        (source.folder / name).rename(moved / "images" / name)
    (source.folder / "annotations").rename(moved / "annotations")
    after, *_ = list_multi_label(MultiLabelSource("coco", moved, "coco"))
    assert after["path"].tolist() != before["path"].tolist()
    assert set_digest(after.assign(content="x")) == set_digest(rows)
    digests = {set_digest(rows.assign(labels=labels)) for labels in ("", "0", None)}
    assert len(digests | {set_digest(rows)}) == 4


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real photographs are not in {DATA}")
def test_coco128_against_raccoons():
    known, classes, _ = list_multi_label(MultiLabelSource("coco128", DATA / "coco128", "coco"))
    claims = {"train": Claim("train"), "fit": Claim("val", share=0.5), "test": Claim("val")}
    raccoons, _ = read_folder("raccoon", str(DATA / "raccoon"), "class_folders", class_names=["n02508213"])
    rows = pd.concat([partition(known, claims, seed=0), raccoons.assign(image_set="raccoon", labels=None)])
    folders = {"coco128": str(DATA / "coco128"), "raccoon": str(DATA / "raccoon")}
    manifest, bad = quarantine(rows, folders, workers=2, most=0.0)
    assert manifest["image_set"].value_counts().to_dict() == {"raccoon": 200, "train": 128, "fit": 64, "test": 64}
    assert len(bad) == 0
    hot = targets(manifest[is_labelled(manifest)], classes)
    assert hot.shape == (256, 80)
    assert (hot.sum(axis=1) == 0).sum() == 2
