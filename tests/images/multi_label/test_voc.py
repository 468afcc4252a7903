"""PASCAL VOC: labels equal torchvision's reading of the XML; each rule and each mistake on a tree of its own."""

import random
import re

import pytest
from torchvision.datasets import VOCDetection

from scaling_ood.images.listing import UNLISTED
from scaling_ood.images.multi_label import AnnotationError, MultiLabelSource, voc
from scaling_ood.images.multi_label.sources import read_listing


def read(root, **options):
    return read_listing(MultiLabelSource("voc_2012", root, "voc", **options))


def shown(listing):
    """Image to its class names, or None."""
    return {
        each.key: None if each.labels is None else [listing.classes[index] for index in each.labels]
        for each in listing.images
    }


SMALL = {
    "train": {"2008_000002": ["person", "dog", "dog"], "2008_000003": [("chair", 1)]},
    "val": {"2008_000007": ["boat", ("boat", 1)]},
}


def test_classes_are_the_official_twenty_in_alphabetical_order():
    assert len(set(voc.CLASSES)) == 20
    assert list(voc.CLASSES) == sorted(voc.CLASSES)


def test_images_come_with_path_split_and_ascending_class_indices(voc_set):
    listing = read(voc_set(SMALL))
    assert listing.classes == voc.CLASSES
    assert [tuple(each) for each in listing.images] == [
        ("2008_000002", "VOCdevkit/VOC2012/JPEGImages/2008_000002.jpg", "train", (11, 14)),
        ("2008_000003", "VOCdevkit/VOC2012/JPEGImages/2008_000003.jpg", "train", (8,)),
        ("2008_000007", "VOCdevkit/VOC2012/JPEGImages/2008_000007.jpg", "val", (3,)),
    ]


@pytest.mark.parametrize("hard_objects", ["counted", "ignored"])
def test_labels_equal_what_torchvision_reads(voc_set, make_picture, hard_objects):
    draw = random.Random(3)
    images = {
        f"2009_{number:06d}": [
            (draw.choice(voc.CLASSES), int(draw.random() < 0.4)) for _ in range(draw.randrange(1, 7))
        ]
        for number in range(40)
    }
    root = voc_set({"val": images})
    for path in (root / "VOCdevkit/VOC2012/JPEGImages").iterdir():
        make_picture(8, 8).save(path)
    theirs = VOCDetection(str(root), year="2012", image_set="val")
    expected = {}
    for _, target in theirs:
        found = target["annotation"]["object"]
        counted = [each["name"] for each in found if hard_objects == "counted" or each["difficult"] == "0"]
        expected[target["annotation"]["filename"].removesuffix(".jpg")] = sorted(set(counted))
    assert shown(read(root, hard_objects=hard_objects)) == expected
    assert any(not names for names in expected.values()) == (hard_objects == "ignored")


def test_difficult_objects_count_unless_they_are_to_be_ignored(voc_set):
    root = voc_set(SMALL)
    assert shown(read(root))["2008_000003"] == ["chair"]
    ignored = shown(read(root, hard_objects="ignored"))
    # Without any other object the image is kept, as one that shows none of the classes.
    assert (ignored["2008_000003"], ignored["2008_000007"]) == ([], ["boat"])


def test_an_object_without_the_mark_is_not_difficult(voc_set):
    root = voc_set(SMALL)
    path = root / "VOCdevkit/VOC2012/Annotations/2008_000003.xml"
    path.write_text(path.read_text().replace("\t\t<difficult>1</difficult>\n", ""))
    assert shown(read(root, hard_objects="ignored"))["2008_000003"] == ["chair"]


@pytest.mark.parametrize("base", [".", "VOC2007", "VOCdevkit/VOC2007"])
def test_the_folder_may_be_the_set_itself_or_one_above(voc_set, base):
    listing = read(voc_set(SMALL, base))
    prefix = "" if base == "." else f"{base}/"
    assert listing.images[0][:2] == ("2008_000002", f"{prefix}JPEGImages/2008_000002.jpg")


def test_of_two_editions_the_year_says_which(voc_set):
    voc_set({"train": {"000012": ["car"]}}, "VOCdevkit/VOC2007")
    root = voc_set(SMALL)
    assert set(shown(read(root, year=2007))) == {"000012"}
    assert len(read(root, year=2012).images) == 3
    for year, said in ((None, "is not given"), (2009, "is 2009")):
        message = rf"`year` says which edition to read, and {said} \(there: .*VOC2007, .*VOC2012\)"
        with pytest.raises(ValueError, match=message):
            read(root, year=year)


def test_a_folder_that_names_another_year_is_not_taken_for_the_wanted_one(voc_set):
    root = voc_set(SMALL)
    with pytest.raises(ValueError, match="is 2007"):
        read(root / "VOCdevkit/VOC2012", year=2007)


def test_without_lists_there_is_no_data_set(make_tree):
    with pytest.raises(ValueError, match="no ImageSets/Main, neither there nor below"):
        read(make_tree("JPEGImages/a.jpg", "Annotations/a.xml"))


def test_trainval_is_read_only_by_name(voc_set):
    root = voc_set({**SMALL, "trainval": {**SMALL["train"], **SMALL["val"]}})
    assert {each.split for each in read(root).images} == {"train", "val"}
    assert {each.split for each in read(root, splits=["trainval"]).images} == {"trainval"}
    with pytest.raises(
        AnnotationError, match=r"images listed more than once \(3\): .*000002\.jpg in train and trainval"
    ):
        read(root, splits=["train", "val", "trainval"])


def test_files_of_unwanted_splits_may_be_missing(voc_set):
    root = voc_set(SMALL)
    (root / "VOCdevkit/VOC2012/JPEGImages/2008_000007.jpg").unlink()
    assert len(read(root, splits=["train"]).images) == 2


def test_an_unknown_split_names_the_nearest(voc_set):
    root = voc_set(SMALL, files=["VOCdevkit/VOC2012/ImageSets/Main/dog_train.txt"])
    with pytest.raises(ValueError, match=r"unknown split 'trian'; did you mean 'train'\? \(known: train, val\)"):
        read(root, splits=["trian"])
    with pytest.raises(ValueError, match="unknown unlabelled split 'test'"):
        read(root, unlabelled=["test"])


def test_a_test_split_without_annotations_is_unlabelled_not_empty(voc_set):
    root = voc_set({**SMALL, "test": {"2008_000001": None, "2008_000004": None}})
    labels = {each.key: each.labels for each in read(root).images if each.split == "test"}
    assert labels == {"2008_000001": None, "2008_000004": None}


def test_an_annotated_test_split_as_in_2007_is_labelled(voc_set):
    root = voc_set({"test": {"000001": ["dog"], "000002": ["train"]}}, "VOCdevkit/VOC2007")
    assert shown(read(root)) == {"000001": ["dog"], "000002": ["train"]}


def test_a_test_split_annotated_in_part_needs_a_decision(voc_set):
    root = voc_set({"test": {"2008_000001": None, "2008_000004": ["person"], "2008_000006": None}})
    message = r"only a part is annotated \(1\): test: 1 of 3 images \(unlabelled: \[test\] leaves"
    with pytest.raises(AnnotationError, match=message):
        read(root)
    assert set(shown(read(root, unlabelled=["test"])).values()) == {None}


def test_annotations_that_no_list_names_are_not_looked_at(voc_set):
    root = voc_set(SMALL)
    (root / "VOCdevkit/VOC2012/Annotations/2007_000032.xml").write_text("segmentation only")
    assert len(read(root).images) == 3


def test_everything_that_is_wrong_is_said_at_once(voc_set):
    root = voc_set(
        {
            "train": {
                "cut": ["dog"],
                "alien": ["dgo", "zeppelin"],
                "other": ["cat"],
                "odd": [("cat", 2)],
                "bare": None,
                "gone": ["cow"],
                "kml": ["bus"],
                "two words": [],
            },
            "val": {"cut": ["dog"]},
        }
    )
    base = root / "VOCdevkit/VOC2012"
    path = base / "Annotations/cut.xml"
    path.write_text(path.read_text()[:200])
    path = base / "Annotations/other.xml"
    path.write_text(path.read_text().replace("other.jpg", "another.jpg"))
    (base / "Annotations/kml.xml").write_text("<kml/>")
    (base / "JPEGImages/gone.jpg").unlink()
    with pytest.raises(AnnotationError) as caught:
        read(root)
    first, *kinds = str(caught.value).split("\n  ")
    assert first == f"voc_2012, voc in {root}:"
    assert sorted(kinds) == [
        "annotations of another image (1): Annotations/other.xml names another.jpg",
        "annotations that are absent (1): Annotations/bare.xml (train)",
        "images listed but absent (1): JPEGImages/gone.jpg (train)",
        "images listed more than once (1): VOCdevkit/VOC2012/JPEGImages/cut.jpg in train and val",
        next(kind for kind in kinds if kind.startswith("malformed annotations")),
        "malformed lines of lists (1): ImageSets/Main/train.txt, line 8: 'two words'",
        "unknown categories (2): Annotations/alien.xml: 'dgo' (did you mean 'dog'?); Annotations/alien.xml: 'zeppelin'",
    ]
    malformed = next(kind for kind in kinds if kind.startswith("malformed annotations"))
    # cut.xml is read for each of the two splits that list it.
    assert malformed.startswith("malformed annotations (4): ")
    assert malformed.count("Annotations/cut.xml: ") == 2
    assert "Annotations/odd.xml: difficult is '2', not 0 or 1" in malformed
    assert "Annotations/kml.xml: its root is <kml>, not <annotation>" in malformed


def test_a_long_list_is_cut(voc_set):
    root = voc_set({"train": {f"{number:03d}": ["cta"] for number in range(250)}})
    with pytest.raises(AnnotationError, match=r"unknown categories \(250\): .*009\.xml: .*; … and 240 more$") as caught:
        read(root)
    assert len(str(caught.value)) < 1000


def test_an_empty_list_is_no_data_set(voc_set):
    root = voc_set({"train": {}})
    with pytest.raises(AnnotationError, match=re.escape(f"voc_2012, voc in {root}: no image")):
        read(root)


def test_images_that_no_list_names_are_counted_and_those_of_other_splits_are_not(voc_set):
    inside = "VOCdevkit/VOC2012/JPEGImages"
    root = voc_set(SMALL, files=[f"{inside}/2010_1.jpg", f"{inside}/more/2008_000002.jpg", f"{inside}/notes.txt"])
    assert read(root, splits=["train"]).left_out == {
        f"{inside}/2010_1.jpg": UNLISTED,
        f"{inside}/more/2008_000002.jpg": UNLISTED,
        f"{inside}/notes.txt": "ending .txt",
    }


def test_two_images_of_one_id_are_refused(voc_set):
    root = voc_set(SMALL, files=["VOCdevkit/VOC2012/JPEGImages/2008_000002.png"])
    with pytest.raises(AnnotationError, match=r"images of one id \(1\): JPEGImages: 2008_000002\.jpg and 2008_000002"):
        read(root)


def test_a_list_may_start_with_the_mark_of_utf8(voc_set):
    root = voc_set(SMALL)
    path = root / "VOCdevkit/VOC2012/ImageSets/Main/train.txt"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert len(read(root).images) == 3
