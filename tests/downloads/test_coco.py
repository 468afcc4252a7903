"""YOLO text to COCO JSON."""

import json

import pytest
from PIL import Image

from scaling_ood.downloads.coco import CATEGORIES, box_of, convert_labels


def test_the_80_official_categories():
    assert len(CATEGORIES) == 80
    official = dict(CATEGORIES)
    some = {1: "person", 11: "fire hydrant", 13: "stop sign", 44: "bottle", 67: "dining table", 90: "toothbrush"}
    assert {number: official[number] for number in some} == some
    assert set(range(1, 91)) - set(official) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}


def test_a_folder_gets_the_official_annotations_in_the_order_of_its_images(tmp_path):
    for folder in ("val2017", "labels/val2017"):
        (tmp_path / folder).mkdir(parents=True)
    for number, size in ((2, (200, 100)), (1, (10, 10)), (3, (10, 10))):
        Image.new("RGB", size).save(tmp_path / f"val2017/{number:012d}.jpg")
    (tmp_path / "labels/val2017/000000000002.txt").write_text("0 0.5 0.5 0.5 0.5\n\n79 0.25 0.5 0.5 1\n")
    (tmp_path / "labels/val2017/000000000001.txt").write_text("2 .5 .5 1 1")
    convert_labels(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations", "val2017"]
    document = json.loads((tmp_path / "annotations/instances_val2017.json").read_text())
    assert document["images"][1] == {"id": 2, "file_name": "000000000002.jpg", "width": 200, "height": 100}
    assert len(document["images"]) == 3
    assert [(box["id"], box["image_id"], box["category_id"], box["bbox"]) for box in document["annotations"]] == [
        (1, 1, 3, [0.0, 0.0, 10.0, 10.0]),
        (2, 2, 1, [50.0, 25.0, 100.0, 50.0]),
        (3, 2, 90, [0.0, 0.0, 100.0, 100.0]),
    ]


@pytest.mark.parametrize("line", ["80 .5 .5 1 1", "-1 .5 .5 1 1", "0 .5 .5", "0 a .5 1 1", "0.5 .5 .5 1 1"])
def test_what_is_no_box_is_shown(line):
    with pytest.raises(ValueError, match=rf"with a class of 0-79: '{line}'"):
        box_of(line, 10, 10)
