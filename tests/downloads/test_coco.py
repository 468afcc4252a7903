"""YOLO text to COCO JSON."""

import pytest

from scaling_ood.downloads.coco import CATEGORIES, coco_instances


def test_the_80_official_categories():
    assert len(CATEGORIES) == 80
    official = dict(CATEGORIES)
    some = {1: "person", 11: "fire hydrant", 13: "stop sign", 44: "bottle", 67: "dining table", 90: "toothbrush"}
    assert {number: official[number] for number in some} == some
    assert set(range(1, 91)) - set(official) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}


def test_boxes_are_numbered_through_in_the_order_of_the_images():
    sizes = {"000000000002.jpg": (10, 10), "000000000001.jpg": (10, 10), "000000000003.jpg": (10, 10)}
    labels = {"000000000002.jpg": "0 .5 .5 1 1\n\n1 .5 .5 1 1\n", "000000000001.jpg": "2 .5 .5 1 1"}
    boxes = coco_instances("x", sizes, labels)["annotations"]
    assert [(box["id"], box["image_id"], box["category_id"]) for box in boxes] == [(1, 1, 3), (2, 2, 1), (3, 2, 2)]


def test_an_image_without_labels_has_no_box():
    document = coco_instances("x", {"000000000001.jpg": (10, 10)}, {})
    assert len(document["images"]) == 1
    assert document["annotations"] == []


def test_everything_wrong_is_named_at_once():
    labels = {"000000000001.jpg": "80 .5 .5 1 1\n0 .5 .5\n0 a .5 1 1", "000000000009.jpg": "0 .5 .5 1 1"}
    with pytest.raises(ValueError, match="cannot be converted") as error:
        coco_instances("x", {"000000000001.jpg": (10, 10)}, labels)
    message = str(error.value)
    assert "000000000009.jpg: labels without an image" in message
    assert "000000000001.jpg, line 1: class 80 is not one of 0-79" in message
    assert "line 2: expected 'class x y width height', got '0 .5 .5'" in message
    assert "line 3" in message
