"""What lies in a folder, in words, and the layout that fits it."""

import pytest

from scaling_ood.images import LAYOUTS, multi_label
from scaling_ood.images.inventory import inventory, mismatch
from scaling_ood.images.scenes import LAYOUTS as SCENE_LAYOUTS

SEVERAL = [
    "a.jpg",
    "owl/1.png",
    "owl/2.tif",
    "rook/new/3.webp",
    "rook/a/b/c/d.gif",
    "notes.txt",
    "x.heic",
    ".hidden/1.jpg",
]


def test_images_are_counted_by_depth_and_other_files_by_reason(make_tree):
    assert str(inventory(make_tree(*SEVERAL))) == (
        "1 image directly in it (a.jpg), 2 images one folder down (owl/1.png), 1 image two folders down "
        "(rook/new/3.webp), 1 image deeper (rook/a/b/c/d.gif), the folders owl, rook; other files: ending .txt: 1; "
        "ending .heic: 1"
    )


@pytest.mark.parametrize(("paths", "said"), [([], "no image, no folders"), (["empty/"], "no image, the folders empty")])
def test_a_folder_without_images_is_told_so(make_tree, paths, said):
    assert str(inventory(make_tree(*paths))) == said


def test_of_a_large_folder_the_first_files_are_enough(make_tree, monkeypatch):
    monkeypatch.setattr("scaling_ood.images.inventory._LOOKED_AT", 2)
    assert str(inventory(make_tree("1.jpg", "2.jpg", "3.jpg"))) == (
        "2 images directly in it (1.jpg), no folders (of its first 2 files)"
    )


@pytest.mark.parametrize(
    ("paths", "fits"),
    [
        (["a.jpg"], "flat"),
        (["n01/a.jpg"], "class_folders"),
        (["n01/a.jpg", "n01/b.jpg", "stray.jpg"], "class_folders"),
        (["n01/new/a.jpg"], "class_folders"),
        (["train/n01/a.jpg"], "image_folder"),
        (["Train/n01/more/a.jpg", "VAL/n01/b.jpg"], "image_folder"),
        (["train/a.jpg", "test/b.jpg"], "flat_splits"),
        (["wnids.txt", "train/n01/images/a.jpg"], "tiny_imagenet"),
        (["cifar-10-batches-py/test_batch"], "cifar10"),
        (["filelist_places365-standard/categories_places365.txt"], "places365"),
        (["a.txt"], ""),
    ],
)
def test_the_layout_that_fits_is_named(make_tree, paths, fits):
    assert inventory(make_tree(*paths)).fitting == fits


@pytest.mark.parametrize(
    ("layouts", "paths", "fits"),
    [
        (multi_label.LAYOUTS, ["VOCdevkit/VOC2012/ImageSets/Main/"], "voc"),
        (multi_label.LAYOUTS, ["annotations/instances_val2017.json"], "coco"),
        (multi_label.LAYOUTS, ["manifest.parquet"], "table"),
        (multi_label.LAYOUTS, ["n01/a.jpg"], ""),
        (SCENE_LAYOUTS, ["train/annotations/training/t1/1.png"], "streethazards"),
        (SCENE_LAYOUTS, ["seg/train_labels/train/a_train_id.png"], "bdd_anomaly"),
        (SCENE_LAYOUTS, ["images/10k/train/a.jpg"], "bdd100k"),
        (SCENE_LAYOUTS, ["frames/a.labels/labels_semantic.png"], "road_anomaly"),
        (SCENE_LAYOUTS, ["train/a.png", "trainannot/a.png"], ""),
    ],
)
def test_layouts_with_a_sign_are_recognised_by_it(make_tree, layouts, paths, fits):
    assert layouts.recognised(make_tree(*paths)) == fits


@pytest.mark.parametrize("layouts", [LAYOUTS, multi_label.LAYOUTS, SCENE_LAYOUTS])
def test_every_layout_says_its_shape(layouts):
    assert set(layouts) <= set(layouts.shapes)
    assert all(layouts.shapes.values())


def test_a_mismatch_names_the_expected_shape_what_was_found_and_what_would_fit(make_tree):
    root = make_tree("a.jpg", "b.jpg")
    assert mismatch(LAYOUTS, "image_folder", root) == [
        "layout 'image_folder' expects <split>/<class>/<image>",
        f"found in {root}: 2 images directly in it (a.jpg), no folders",
        "layout 'flat' would fit: <image>",
    ]
    assert mismatch(LAYOUTS, "flat", root)[2:] == []
