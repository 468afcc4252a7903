"""MS-COCO: labels equal an independent count from the JSON; each rule and each mistake on a tree of its own."""

import json
import random
from pathlib import Path

import pytest
from coco_documents import coco_document

from scaling_ood.downloads.coco import CATEGORIES
from scaling_ood.images.multi_label import AnnotationError, MultiLabelSource
from scaling_ood.images.multi_label.sources import read_listing

COCO128 = Path(__file__).parents[3].parent / "shared" / "data" / "coco128"
NAMES = dict(CATEGORIES)


def read(root, **options):
    return read_listing(MultiLabelSource("coco_2017", root, "coco", **options))


def counted(document, hard_objects="counted"):
    """File name to class names, by going through all boxes for every image and category."""
    return {
        image["file_name"]: [
            category["name"]
            for category in sorted(document["categories"], key=lambda each: each["id"])
            if any(
                box["image_id"] == image["id"] and box["category_id"] == category["id"]
                for box in document["annotations"]
                if hard_objects == "counted" or box["iscrowd"] == 0
            )
        ]
        for image in document["images"]
    }


def shown(listing, split=None):
    """File name to class names, or None."""
    return {
        each.path.split("/")[-1]: None if each.labels is None else [listing.classes[index] for index in each.labels]
        for each in listing.images
        if split in (None, each.split)
    }


def drawn(seed, images=30):
    """A document of random boxes, a fifth of them crowds, over ids and categories in no order."""
    draw = random.Random(seed)
    ids = draw.sample(range(1, 600_000), images)
    boxes = [
        (draw.choice(ids[2:]), draw.choice(list(NAMES)), *([True] if draw.random() < 0.2 else []))
        for _ in range(3 * images)
    ]
    shuffled = dict(draw.sample(list(NAMES.items()), len(NAMES)))
    return coco_document({each: f"{each:012d}.jpg" for each in ids}, boxes, shuffled)


SMALL = coco_document(
    {9: "000000000009.jpg", 25: "000000000025.jpg", 30: "000000000030.jpg"},
    [(25, 90), (9, 1), (25, 13), (9, 1), (25, 1, True)],
    NAMES,
)


@pytest.mark.parametrize("hard_objects", ["counted", "ignored"])
def test_labels_equal_an_independent_count(coco_set, hard_objects):
    documents = {"train2017": drawn(1), "val2017": drawn(2)}
    documents["val2017"]["categories"].reverse()
    listing = read(coco_set(documents), hard_objects=hard_objects)
    for split in ("train", "val"):
        assert shown(listing, split) == counted(documents[f"{split}2017"], hard_objects)


def test_the_two_rules_for_crowds_differ_on_these_boxes():
    assert counted(drawn(1)) != counted(drawn(1), "ignored")


def test_eighty_categories_become_0_to_79_in_the_order_of_their_ids(coco_set):
    listing = read(coco_set({"train2017": SMALL}))
    assert len(listing.classes) == 80
    assert listing.classes[:2] == ("person", "bicycle")
    assert listing.classes[79] == "toothbrush"
    # Id 12 is not given, so id 13 is the twelfth category.
    assert listing.images[1].labels == (0, 11, 79)


def test_images_come_with_path_and_split(coco_set):
    listing = read(coco_set({"val2017": SMALL}))
    assert [each[:3] for each in listing.images] == [
        (f"val2017/{name}.jpg", f"val2017/{name}.jpg", "val")
        for name in ("000000000009", "000000000025", "000000000030")
    ]


def test_images_without_a_box_are_kept_with_no_class(coco_set):
    assert read(coco_set({"train2017": SMALL})).images[2].labels == ()


def test_a_crowd_counts_unless_it_is_to_be_ignored(coco_set):
    root = coco_set({"train2017": SMALL})
    assert shown(read(root))["000000000025.jpg"] == ["person", "stop sign", "toothbrush"]
    assert shown(read(root, hard_objects="ignored"))["000000000025.jpg"] == ["stop sign", "toothbrush"]


def test_photographs_may_lie_in_images(coco_set):
    listing = read(coco_set({"train2017": SMALL}, inside="images/"))
    assert listing.images[0][:2] == ("train2017/000000000009.jpg", "images/train2017/000000000009.jpg")


def test_photographs_that_the_json_does_not_name_are_no_part_of_the_set(coco_set):
    root = coco_set({"train2017": SMALL}, files=["train2017/000000000099.jpg", "train2017/._000000000009.jpg"])
    assert len(read(root).images) == 3


def test_a_test_split_of_names_alone_is_unlabelled(coco_set):
    coco_set({"test2017": {key: SMALL[key] for key in ("images", "categories")}}, kind="image_info")
    listing = read(coco_set({"train2017": SMALL}, files=["test2017/000000000077.jpg"]))
    assert shown(listing, "test") == {f"{name:012d}.jpg": None for name in (9, 25, 30)}
    assert len(listing.classes) == 80


def test_a_test_split_may_be_a_folder_of_photographs(coco_set):
    root = coco_set({"train2017": SMALL}, files=["test2017/b.jpg", "test2017/a.jpg", "test2017/list.txt"])
    assert list(shown(read(root), "test").items()) == [("a.jpg", None), ("b.jpg", None)]
    assert read(root, splits=["test"]).classes == ()


def test_any_other_folder_without_boxes_is_not_unlabelled_by_accident(coco_set):
    root = coco_set({"train2017": SMALL}, files=["val2017/a.jpg"])
    with pytest.raises(
        AnnotationError, match=r"annotations that are absent \(1\): annotations/instances_val2017\.json"
    ):
        read(root)


def test_of_two_editions_the_year_says_which(coco_set):
    root = coco_set({"train2017": SMALL, "val2014": drawn(1, 5)}, files=["test2015/a.jpg"])
    assert len(read(root, year=2014).images) == 5
    assert {each.split for each in read(root, year=2015).images} == {"test"}
    for year, said in ((None, "is not given"), (2016, "is 2016")):
        with pytest.raises(ValueError, match=rf"`year` says .*, and {said} \(there: 2014, 2015, 2017\)"):
            read(root, year=year)


def test_the_year_is_that_of_the_boxes(coco_set):
    # The test images of 2015 belong to the boxes of 2014.
    root = coco_set({"train2014": SMALL}, files=["test2015/a.jpg"])
    assert {each.split for each in read(root).images} == {"train"}


def test_neither_boxes_nor_folders_are_no_data_set(make_tree):
    with pytest.raises(ValueError, match="neither annotations/instances_<split><year>"):
        read(make_tree("annotations/captions_train2017.json", "photos/a.jpg"))


def test_files_of_unwanted_splits_may_be_missing(coco_set):
    root = coco_set({"train2017": SMALL})
    (root / "annotations/instances_val2017.json").write_text("{")
    assert len(read(root, splits=["train"]).images) == 3
    with pytest.raises(ValueError, match=r"^unknown split 'tarin'; did you mean 'train'\? \(known: train, val\)$"):
        read(root, splits=["tarin"])


def test_a_missing_folder_of_photographs_is_one_problem(coco_set):
    root = coco_set({"train2017": SMALL})
    (root / "train2017").rename(root / "photos")
    with pytest.raises(AnnotationError) as caught:
        read(root)
    assert str(caught.value).split("\n  ")[1:] == ["folders of photographs that are absent (1): train"]


def test_everything_that_is_wrong_is_said_at_once(coco_set):
    train = json.loads(json.dumps(SMALL))
    train["images"] += [{"id": 40}, {"id": 9, "file_name": "b.jpg"}, {"id": 41, "file_name": "000000000025.jpg"}]
    train["annotations"] += [
        {"image_id": 9, "category_id": 12},
        {"image_id": 1234, "category_id": 1},
        {"image_id": 9},
        {"image_id": 9, "category_id": 1, "iscrowd": 2},
        {"image_id": [9], "category_id": {"id": 1}},
    ]
    train["categories"] += [{"id": 1, "name": "human"}, {"name": "x"}]
    val = coco_document({5: "5.jpg"}, [(5, 7)], {7: "train"})
    documents = {"train2017": {**train, "images": SMALL["images"]}, "val2017": val}
    root = coco_set(documents)
    (root / "annotations/instances_train2017.json").write_text(json.dumps(train))
    (root / "train2017/000000000030.jpg").unlink()
    (root / "annotations/instances_test2017.json").write_text('{"images": [')
    with pytest.raises(AnnotationError) as caught:
        read(root)
    kinds = dict(kind.split(": ", 1) for kind in str(caught.value).split("\n  ")[1:])
    name = "annotations/instances_train2017.json"
    assert kinds.pop("malformed annotations (8)").split(", annotations/")[0].startswith(f"{name}: category 1, 'human'")
    assert kinds == {
        "unknown categories (1)": f"{name}: annotations[5]: category 12",
        "annotations of images that are not listed (1)": f"{name}: annotations[6]: image 1234",
        "images listed but absent (1)": "train2017/000000000030.jpg",
        "images listed more than once (1)": "train2017/000000000025.jpg in train and train",
        "categories that differ from those of the first file (1)": "annotations/instances_val2017.json",
        "folders of photographs that are absent (1)": "test",
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Expecting value: line 1 column 1"),
        ("[]", "'images' is no list of objects"),
        ('{"images": {}, "annotations": [], "categories": []}', "'images' is no list of objects"),
        ('{"images": [], "categories": []}', "'annotations' is no list of objects"),
        ('{"images": [], "annotations": [7], "categories": []}', "'annotations' is no list of objects"),
        (b"\xff\xfe\x00", "can't decode"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_file_that_is_no_such_document_is_named(coco_set, content, said):
    root = coco_set({"train2017": SMALL})
    path = root / "annotations/instances_train2017.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AnnotationError) as caught:
        read(root)
    assert str(caught.value).count("\n") == 1
    assert "malformed annotations (1): annotations/instances_train2017.json: " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.skipif(not COCO128.is_dir(), reason=f"the real photographs of COCO are not at {COCO128}")
def test_coco128_as_it_lies_there():
    listing = read(COCO128)
    assert listing.classes == tuple(NAMES.values())
    for split, without in (("train", 2), ("val", 0)):
        document = json.loads((COCO128 / f"annotations/instances_{split}2017.json").read_text())
        names = shown(listing, split)
        assert names == counted(document)
        assert (len(names), sum(not each for each in names.values())) == (128, without)


def test_a_document_may_start_with_the_mark_of_utf8(coco_set):
    root = coco_set({"train2017": SMALL})
    path = root / "annotations/instances_train2017.json"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert len(read(root).images) == 3


def test_what_is_wrong_can_be_shown_whatever_a_file_is_called(coco_set):
    root = coco_set({"train2017": SMALL})
    path = root / "annotations/instances_train2017.json"
    path.write_text(path.read_text().replace("000000000009.jpg", "\\ud800.jpg"))
    with pytest.raises(AnnotationError, match=r"train2017/\\ud800\.jpg") as error:
        read(root)
    str(error.value).encode()
