"""Folders, names and what a spec accepts."""

import pytest

from miniatures.composite import (
    CompositeSpec,
    category_ids,
    composite_folders,
    draw_composite,
    kinds,
    render_composites,
)


def test_folders_are_those_of_coco_and_of_imagenet():
    spec = CompositeSpec(train_images=7, val_images=6, ood_images=5, control_images=4)
    listed = composite_folders(spec)
    assert list(listed)[:2] == ["train", "val"]
    assert [(one.part, one.images, one.kind) for one in list(listed.values())[:2]] == [
        ("train", 7, None),
        ("val", 6, None),
    ]
    assert {folder: one.images for folder, one in listed.items() if one.part == "ood"} == {
        f"ood/{kind.name}": 5 for kind in kinds(spec).unseen
    }
    assert {folder: one.images for folder, one in listed.items() if one.part == "control"} == {
        f"control/{kind.name}": 4 for kind in kinds(spec).known
    }


def test_control_can_be_left_out():
    listed = composite_folders(CompositeSpec(control_images=0))
    assert {one.part for one in listed.values()} == {"train", "val", "ood"}


def test_listing_is_a_copy():
    composite_folders(CompositeSpec()).clear()
    assert composite_folders(CompositeSpec())


def test_names_of_images():
    folders = composite_folders(CompositeSpec())
    assert [folders[split].image_name(41) for split in ("train", "val")] == ["000000100042.jpg", "000000200042.jpg"]
    unseen = kinds(CompositeSpec()).unseen[0].name
    assert folders[f"ood/{unseen}"].image_name(3) == f"{unseen}_00003.jpg"


def test_no_image_number_is_in_two_splits():
    folders = composite_folders(CompositeSpec(train_images=99_999, val_images=99_999))
    numbers = [folders[split].image_id(index) for split in ("train", "val") for index in range(99_999)]
    assert len(set(numbers)) == len(numbers)


def test_categories_are_numbered_with_the_gaps_of_coco():
    numbers = category_ids(CompositeSpec(known_kinds=26))
    assert list(numbers) == sorted(numbers)
    # The first 26 of COCO's 80 categories, as in its instances_val2017.json.
    assert list(numbers.values()) == [*range(1, 12), *range(13, 26), 27, 28]


def test_default_is_the_size_of_the_issue():
    spec = CompositeSpec()
    assert 12 <= spec.known_kinds <= 16
    assert len(kinds(spec).known) == spec.known_kinds
    folders = composite_folders(spec).values()
    assert all(sum(one.images for one in folders if one.part == part) >= 200 for part in ("val", "ood", "control"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("known_kinds", 9),
        ("known_kinds", 41),
        ("unseen_kinds", 4),
        ("unseen_kinds", 11),
        ("train_images", 0),
        ("val_images", True),
        ("ood_images", 100_000),
        ("control_images", -1),
        ("size_px", 31),
        ("size_px", 96.0),
        ("spread", -0.1),
        ("spread", float("nan")),
        ("seed", -1),
    ],
)
def test_each_field_is_checked(field, value):
    with pytest.raises(ValueError, match=rf"^CompositeSpec: {field}={value!r}, allowed: .* from .* to "):
        CompositeSpec(**{field: value})


def test_all_problems_are_named_at_once():
    with pytest.raises(ValueError, match=r"known_kinds=1, .*; spread=2\.0, .*; control_images=-1"):
        CompositeSpec(known_kinds=1, control_images=-1, spread=2.0)


def test_unknown_folder_names_the_nearest():
    folder = f"ood/{kinds(CompositeSpec()).unseen[2].name}"
    with pytest.raises(KeyError, match=f"did you mean '{folder}'"):
        draw_composite(CompositeSpec(), folder + "x", 0)
    with pytest.raises(KeyError, match="did you mean 'train'"):
        render_composites(CompositeSpec(), "trains")


@pytest.mark.parametrize("index", [-1, 400])
def test_unknown_image_names_the_range(index):
    with pytest.raises(IndexError, match=rf"image {index} of 'val': allowed are 0 to 399"):
        draw_composite(CompositeSpec(), "val", index)
