"""Folders, names and what a spec accepts."""

import pytest

from miniatures.street import StreetSpec, draw_street, render_street, street_folders, street_image_name


def test_folders_are_those_of_street_hazards():
    spec = StreetSpec(training_images=5, validation_images=4, test_images=3, control_images=2)
    listed = street_folders(spec)
    assert {folder: (one.annotations, one.images) for folder, one in listed.items()} == {
        "train/images/training/t1": ("train/annotations/training/t1", 5),
        "train/images/training/t2": ("train/annotations/training/t2", 5),
        "train/images/training/t3": ("train/annotations/training/t3", 5),
        "train/images/validation/t4": ("train/annotations/validation/t4", 4),
        "test/images/test/t5": ("test/annotations/test/t5", 3),
        "control/images/test/t5": ("control/annotations/test/t5", 2),
        "test/images/test/t6": ("test/annotations/test/t6", 3),
        "control/images/test/t6": ("control/annotations/test/t6", 2),
    }
    assert [one.inserted for one in listed.values() if one.is_control] == [
        "control/inserted/test/t5",
        "control/inserted/test/t6",
    ]


def test_no_town_is_in_two_splits():
    towns = {}
    for one in street_folders(StreetSpec(training_towns=4, validation_towns=3, test_towns=4)).values():
        towns.setdefault(one.town, set()).add(one.split)
    assert len(towns) == 11
    assert all(len(splits) == 1 for splits in towns.values())


def test_control_can_be_left_out():
    assert not [folder for folder in street_folders(StreetSpec(control_images=0)) if folder.startswith("control")]


def test_listing_is_a_copy():
    street_folders(StreetSpec()).clear()
    assert street_folders(StreetSpec())


def test_names_sort_as_they_are_numbered():
    assert [street_image_name(index) for index in (0, 9, 98)] == ["001.png", "010.png", "099.png"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("training_towns", 0),
        ("test_towns", 5),
        ("test_images", 0),
        ("control_images", -1),
        ("height_px", 16),
        ("width_px", 160.0),
        ("training_images", True),
        ("seed", -1),
    ],
)
def test_each_field_is_checked(field, value):
    with pytest.raises(ValueError, match=rf"^StreetSpec: {field}={value!r}, allowed: an integer from .* to "):
        StreetSpec(**{field: value})


def test_all_problems_are_named_at_once():
    with pytest.raises(ValueError, match=r"training_towns=0, .*; seed=-1"):
        StreetSpec(training_towns=0, seed=-1)


def test_unknown_folder_names_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'test/images/test/t5'"):
        render_street(StreetSpec(), "test/images/test/t55", 0)


@pytest.mark.parametrize("index", [-1, 60])
def test_unknown_image_names_the_range(index):
    with pytest.raises(IndexError, match=rf"image {index} of 'test/.*': allowed are 0 to 59"):
        draw_street(StreetSpec(), "test/images/test/t5", index)
