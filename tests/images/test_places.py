"""Places' lists give images their classes, as torchvision reads them; what the lists name must be there."""

import re

import pytest
import torchvision
from image_trees import images_of

from scaling_ood.images import Entry, LayoutError, list_files

CATEGORIES = ["/a/airfield", "/b/bow_window/indoor", "/b/bowling_alley"]
VAL = {"Places365_val_00000001.jpg": 2, "Places365_val_00000002.jpg": 0, "Places365_val_00000003.jpg": 1}
TRAIN = {"/a/airfield/00000001.jpg": 0, "/b/bow_window/indoor/00000007.jpg": 1}
TEST = ["Places365_test_00000001.jpg"]


@pytest.fixture
def places(make_tree):
    def lay_out(train="data_256", val="val_256", lists="", categories=CATEGORIES):
        root = make_tree(
            *(f"{train}{path}" for path in TRAIN),
            *(f"{val}/{name}" for name in VAL),
            *(f"test_256/{name}" for name in TEST),
        )
        folder = root / lists
        folder.mkdir(exist_ok=True)
        write(folder / "categories_places365.txt", {name: number for number, name in enumerate(categories)})
        write(folder / "places365_train_standard.txt", TRAIN)
        write(folder / "places365_val.txt", VAL)
        (folder / "places365_test.txt").write_text("".join(f"{name}\n" for name in TEST))
        return root

    return lay_out


def write(path, rows):
    path.write_text("".join(f"{name} {number}\n" for name, number in rows.items()))


def expected(train, val):
    return [
        Entry(f"{train}/a/airfield/00000001.jpg", "train", "airfield"),
        Entry(f"{train}/b/bow_window/indoor/00000007.jpg", "train", "bow_window/indoor"),
        Entry("test_256/Places365_test_00000001.jpg", "test", ""),
        Entry(f"{val}/Places365_val_00000001.jpg", "val", "bowling_alley"),
        Entry(f"{val}/Places365_val_00000002.jpg", "val", "airfield"),
        Entry(f"{val}/Places365_val_00000003.jpg", "val", "bow_window/indoor"),
    ]


@pytest.mark.parametrize("train", ["data_256", "data_256_standard", "data_large"])
@pytest.mark.parametrize("val", ["val_256", "val_large"])
@pytest.mark.parametrize("lists", ["", "filelist_places365-standard"])
def test_places365(places, train, val, lists):
    assert list_files("places365", places(train, val, lists)) == expected(train, val)


@pytest.mark.parametrize(("split", "ours"), [("train-standard", "train"), ("val", "val")])
def test_torchvision_reads_the_same(places, monkeypatch, split, ours):
    root = places(train="data_256_standard")
    monkeypatch.setattr(torchvision.datasets.places365, "check_integrity", lambda *_args, **_options: True)
    reference = torchvision.datasets.Places365(root, split, small=True)
    theirs = {(path, reference.classes[target][3:]) for path, target in reference.imgs}
    listed = {(str(root / entry.path), entry.class_name) for entry in list_files("places365", root, [ours])}
    assert listed == theirs


def test_small_images_are_taken_where_both_are_there(places, make_tree):
    root = places()
    make_tree(*(f"val_large/{name}" for name in VAL))
    assert {entry.path.split("/")[0] for entry in list_files("places365", root, ["val"])} == {"val_256"}


def test_lists_of_absent_splits_are_not_needed(places):
    root = places()
    (root / "places365_train_standard.txt").unlink()
    (root / "places365_test.txt").unlink()
    assert len(list_files("places365", root, ["val"])) == 3
    with pytest.raises(FileNotFoundError, match=r"places365_train_standard\.txt, places365_test\.txt not in "):
        list_files("places365", root)


def test_the_unlabelled_split_needs_no_classes(places):
    root = places()
    (root / "categories_places365.txt").unlink()
    assert [entry.class_name for entry in list_files("places365", root, ["test"])] == [""]
    with pytest.raises(FileNotFoundError, match=r"categories_places365\.txt not in"):
        list_files("places365", root, ["val"])


def test_all_that_is_wrong_with_a_list_is_said(places):
    root = places()
    (root / "val_256" / "Places365_val_00000002.jpg").unlink()
    write(root / "places365_val.txt", VAL | {"Places365_val_00000001.jpg": 3, "Places365_val_00000003.jpg": "indoor"})
    message = (
        r"places365_val\.txt of .*: 1 of its images are not in val_256: Places365_val_00000002\.jpg; "
        r"2 lines have no class index below 3: Places365_val_00000001\.jpg 3, Places365_val_00000003\.jpg indoor$"
    )
    with pytest.raises(LayoutError, match=message):
        list_files("places365", root, ["val"])


@pytest.mark.parametrize(
    ("categories", "problem"),
    [
        (CATEGORIES[::-1], "alphabetical"),
        (["airfield", *CATEGORIES[1:]], "no `/<letter>/<class> <index>`: airfield 0"),
        ([], "empty"),
    ],
)
def test_categories_must_be_in_the_order_of_the_published_heads(places, categories, problem):
    with pytest.raises(LayoutError, match=re.escape(problem)):
        list_files("places365", places(categories=categories), ["val"])


def test_without_images_all_folders_are_named(make_tree):
    with pytest.raises(FileNotFoundError, match=r"no folder of images in .*data_256_standard, .*val_256, "):
        list_files("places365", make_tree("places365_val.txt"))


@pytest.mark.parametrize(
    ("folder", "listing"), [("data_256_extra", "extra69_{}.txt"), ("data_large_extra", "extra69_large_{}.txt")]
)
def test_places69(make_tree, folder, listing):
    root = make_tree(f"{folder}/b/bakery/1.jpg", f"{folder}/b/bakery/2.jpg", f"{folder}/c/cathedral/indoor/1.jpg")
    write(root / "categories_extra69.txt", {"/b/bakery": 0, "/c/cathedral/indoor": 1})
    write(root / listing.format("train"), {"/b/bakery/1.jpg": 0})
    write(root / listing.format("test"), {"/b/bakery/2.jpg": 0, "/c/cathedral/indoor/1.jpg": 1})
    assert images_of(list_files("places69", root)) == [
        Entry(f"{folder}/b/bakery/1.jpg", "train", "bakery"),
        Entry(f"{folder}/b/bakery/2.jpg", "test", "bakery"),
        Entry(f"{folder}/c/cathedral/indoor/1.jpg", "test", "cathedral/indoor"),
    ]
    assert len(images_of(list_files("places69", root, ["test"]))) == 2
