"""COCO's annotations against an independent count over the rendered objects."""

import json

import numpy as np
import pytest

from miniatures.composite import CompositeSpec, category_ids, draw_composite, instances

SPEC = CompositeSpec(train_images=12, val_images=8)


@pytest.fixture(scope="module", params=["train", "val"])
def annotated(request):
    return request.param, json.loads(json.dumps(instances(SPEC, request.param)))


def test_images_are_those_of_the_folder(annotated):
    split, content = annotated
    count = {"train": SPEC.train_images, "val": SPEC.val_images}[split]
    assert len(content["images"]) == count
    for image in content["images"]:
        assert (image["height"], image["width"]) == (96, 96)
        assert image["file_name"] == f"{image['id']:012d}.jpg"


def test_boxes_and_areas_are_those_of_the_pixels(annotated):
    split, content = annotated
    names = {one["id"]: one["name"] for one in content["categories"]}
    for index, image in enumerate(content["images"]):
        composite = draw_composite(SPEC, split, index)
        found = [one for one in content["annotations"] if one["image_id"] == image["id"]]
        assert len(found) == len(np.unique(composite.objects[composite.objects >= 0]))
        assert sum(one["area"] for one in found) == np.sum(composite.objects >= 0)
        for one in found:
            left, top, width, height = one["bbox"]
            inside = composite.objects[top : top + height, left : left + width]
            (number,) = [
                n for n, kind in enumerate(composite.composition.kinds)
                if kind.name == names[one["category_id"]]
                and np.sum(composite.objects == n) == np.sum(inside == n) == one["area"]
            ]  # fmt: skip
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert number in edge
            assert one["iscrowd"] == 0


def test_categories_are_the_known_kinds(annotated):
    content = annotated[1]
    assert {one["name"]: one["id"] for one in content["categories"]} == category_ids(SPEC)
    assert {one["supercategory"] for one in content["categories"]} == {"object"}


def test_no_annotation_number_comes_twice():
    numbers = [one["id"] for split in ("train", "val") for one in instances(SPEC, split)["annotations"]]
    assert len(set(numbers)) == len(numbers)


def test_every_class_is_frequent_in_both_splits():
    spec = CompositeSpec(train_images=150, val_images=150)
    for split in ("train", "val"):
        content = instances(spec, split)
        images = {number: set() for number in category_ids(spec).values()}
        for one in content["annotations"]:
            images[one["category_id"]].add(one["image_id"])
        shares = [len(some) / 150 for some in images.values()]
        # 2.8 different kinds of 14 in an image, on average.
        assert np.mean(shares) == pytest.approx(0.2, abs=0.02)
        assert min(shares) > 0.1


def test_unknown_split_names_the_nearest():
    with pytest.raises(ValueError, match=r"no split 'vall'; did you mean 'val'\? \(known: train, val\)"):
        instances(SPEC, "vall")
