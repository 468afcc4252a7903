"""Each on-disk layout on a tree of its own; what is missing or empty is named."""

import re

import pytest
from image_trees import images_of

from scaling_ood.images import LAYOUTS, EmptyClassError, Entry, LayoutError, list_files
from scaling_ood.images.folders import BESIDE
from scaling_ood.images.walking import HIDDEN, LOOP

TREES = {
    "image_folder": (
        ["val/n02/b.png", "train/n01/b.jpg", "train/n01/a.JPEG", "train/n02/c.jpeg", "val/n01/a.webp", "README.txt"],
        [
            ("train/n01/a.JPEG", "train", "n01"),
            ("train/n01/b.jpg", "train", "n01"),
            ("train/n02/c.jpeg", "train", "n02"),
            ("val/n01/a.webp", "val", "n01"),
            ("val/n02/b.png", "val", "n02"),
        ],
    ),
    "class_folders": (
        ["Amphibians_x/2.jpg", "Amphibians_x/1.jpg", "Fungi_y/1.bmp", "list.csv"],
        [
            ("Amphibians_x/1.jpg", "all", "Amphibians_x"),
            ("Amphibians_x/2.jpg", "all", "Amphibians_x"),
            ("Fungi_y/1.bmp", "all", "Fungi_y"),
        ],
    ),
    "tiny_imagenet": (
        [
            "wnids.txt",
            "train/n01/images/n01_0.JPEG",
            "train/n01/n01_boxes.txt",
            "train/n02/images/n02_7.JPEG",
            "val/images/val_0.JPEG",
            "test/images/test_0.JPEG",
        ],
        [("train/n01/images/n01_0.JPEG", "train", "n01"), ("train/n02/images/n02_7.JPEG", "train", "n02")],
    ),
    "class_prefix": (
        ["n02_great_white_shark.JPEG", "n01_tench.JPEG", "LICENSE", "more/n03_inside.JPEG"],
        [
            ("more/n03_inside.JPEG", "all", "n03"),
            ("n01_tench.JPEG", "all", "n01"),
            ("n02_great_white_shark.JPEG", "all", "n02"),
        ],
    ),
    "flat": (
        ["b.JPG", "a.tif", "LICENSE", "more/c.png"],
        [("a.tif", "all", ""), ("b.JPG", "all", ""), ("more/c.png", "all", "")],
    ),
    "flat_splits": (
        ["train/b.png", "train/a.png", "trainannot/a.png", "test/a.png", "testannot/a.png", "train.txt"],
        [("test/a.png", "test", ""), ("train/a.png", "train", ""), ("train/b.png", "train", "")],
    ),
}


OWN_TESTS = ("cifar10", "dtd", "imagenet", "imagenet_21k_p", "lsun", "places365", "places69", "species")
"""Layouts of single data sets: their trees hold lists and databases, in test modules of their own."""


def test_every_layout_has_a_tree_here_or_a_module_of_its_own():
    assert sorted(LAYOUTS) == sorted([*TREES, *OWN_TESTS])


@pytest.mark.parametrize("layout", TREES)
def test_splits_are_chosen(make_tree, layout):
    paths, expected = TREES[layout]
    root = make_tree(*paths)
    for split in {entry[1] for entry in expected}:
        assert images_of(list_files(layout, root, [split])) == [
            Entry(*entry) for entry in expected if entry[1] == split
        ]
    assert images_of(list_files(layout, root, ["absent"])) == []


@pytest.mark.parametrize("layout", TREES)
def test_lists_exactly_the_images_sorted_by_path(make_tree, layout):
    paths, expected = TREES[layout]
    assert images_of(list_files(layout, make_tree(*paths))) == [Entry(*entry) for entry in expected]


@pytest.mark.parametrize("layout", TREES)
def test_hidden_files_and_folders_do_not_count(make_tree, layout):
    paths, expected = TREES[layout]
    # macOS leaves a ._name beside each name on foreign disks and in archives.
    beside = [path.replace(name := path.split("/")[-1], f"._{name}") for path in paths]
    root = make_tree(*paths, *beside, ".cache/n01/images/a.jpg", ".ipynb_checkpoints/a.jpg")
    assert len(images_of(list_files(layout, root))) == len(expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_folder_is_named(tmp_path, layout):
    with pytest.raises(FileNotFoundError, match=re.escape(f"no folder {tmp_path / 'absent'}")):
        list_files(layout, tmp_path / "absent")


def test_a_file_is_no_data_set(make_tree):
    root = make_tree("archive.jpg")
    with pytest.raises(FileNotFoundError, match=r"no folder .*archive\.jpg"):
        list_files("class_prefix", root / "archive.jpg")


def test_tiny_imagenet_without_its_train_folder(make_tree):
    root = make_tree("val/images/val_0.JPEG")
    with pytest.raises(FileNotFoundError, match=re.escape(f"no folder {root / 'train'}")):
        list_files("tiny_imagenet", root)


@pytest.mark.parametrize(
    ("layout", "paths", "empty"),
    [
        (
            "image_folder",
            ["train/n01/a.jpg", "train/n02/", "val/n01/notes.txt"],
            r"train/n02, val/n01 \(ending .txt: 1\)",
        ),
        ("class_folders", ["n01/a.jpg", "n02/", "n03/"], "n02, n03"),
        (
            "tiny_imagenet",
            ["train/n01/images/a.JPEG", "train/n02/images/", "train/n03/a.JPEG"],
            r"train/n02, train/n03 \(image beside .*: 1\)",
        ),
    ],
)
def test_all_empty_classes_are_named(make_tree, layout, paths, empty):
    root = make_tree(*paths)
    with pytest.raises(EmptyClassError, match=rf"^2 class folders of {re.escape(root.name)} hold no image: {empty}$"):
        list_files(layout, root)


def test_a_long_list_of_empty_classes_is_cut(make_tree):
    root = make_tree(*(f"n{number:02d}/" for number in range(13)))
    with pytest.raises(EmptyClassError, match=r"^13 class folders .*: n00, n01, .*, n09, … and 3 more$"):
        list_files("class_folders", root)


@pytest.mark.parametrize("layout", ["image_folder", "class_folders", "tiny_imagenet", "class_prefix"])
def test_some_classes_are_listed_and_what_is_not_there_is_left_out(make_tree, layout):
    paths, expected = TREES[layout]
    chosen = expected[0][2]
    wanted = [Entry(*entry) for entry in expected if entry[2] == chosen]
    assert images_of(list_files(layout, make_tree(*paths), classes=[chosen, "absent"])) == wanted


def test_only_the_folders_of_the_wanted_classes_are_looked_into(make_tree):
    root = make_tree("n01/a.jpg", "n02/", "n03/")
    assert [entry.path for entry in list_files("class_folders", root, classes=["n01"])] == ["n01/a.jpg"]
    with pytest.raises(EmptyClassError, match=r"^1 class folders of .* hold no image: n03$"):
        list_files("class_folders", root, classes=["n01", "n03"])


@pytest.mark.parametrize(
    ("given", "hint"), [("imagefolder", "; did you mean 'image_folder'?"), ("Tiny_ImageNet", None), ("zzz", "")]
)
def test_an_unknown_layout_names_the_nearest_and_all(tmp_path, given, hint):
    hint = "; did you mean 'tiny_imagenet'?" if hint is None else hint
    message = f"unknown layout '{given}'{hint} (known: {', '.join(sorted(LAYOUTS))})"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        list_files(given, tmp_path)


def left_out(layout, root, *args):
    return {entry.path: entry.left_out for entry in list_files(layout, root, *args) if entry.left_out}


@pytest.mark.parametrize(
    ("layout", "folder"),
    [("image_folder", "train/n01"), ("class_folders", "n01"), ("tiny_imagenet", "train/n01/images"), ("flat", "")],
)
def test_images_in_sub_folders_are_read_as_their_class(make_tree, layout, folder):
    paths = [f"{folder}/{name}".lstrip("/") for name in ("a.jpg", "b/c.tif", "b/d/e.PNG")]
    entries = list_files(layout, make_tree(*paths))
    assert [entry.path for entry in entries] == paths
    assert len({(entry.split, entry.class_name) for entry in entries}) == 1


@pytest.mark.parametrize(
    ("layout", "paths", "expected"),
    [
        (
            "image_folder",
            ["train/n01/a.jpg", "train/n01/b.heic", "train/c.jpg", "d.jpg", "val/n01/e.jpg", "val/f.raw", ".DS_Store"],
            {".DS_Store": HIDDEN, "d.jpg": BESIDE, "train/c.jpg": BESIDE, "train/n01/b.heic": "ending .heic"},
        ),
        (
            "class_folders",
            ["n01/a.jpg", "b.jpg", "n01/Thumbs.db", "__MACOSX/n01/._a.jpg", "notes.txt"],
            {"__MACOSX": HIDDEN, "b.jpg": BESIDE, "n01/Thumbs.db": HIDDEN, "notes.txt": "ending .txt"},
        ),
        ("flat_splits", ["train/a.jpg", "train/b.xcf", "c.jpg"], {"c.jpg": BESIDE, "train/b.xcf": "ending .xcf"}),
        (
            "tiny_imagenet",
            ["train/n01/images/a.jpg", "train/n01/b.jpg", "train/n01/n01_boxes.txt", "wnids.txt", "train/c.jpg"],
            {"train/c.jpg": BESIDE, "train/n01/b.jpg": BESIDE},
        ),
        ("species", ["Fish/a/1.jpg", "Fish/2.jpg", "3.jpg"], {"3.jpg": BESIDE, "Fish/2.jpg": BESIDE}),
        (
            "imagenet",
            ["train/n01/1.jpg", "train/n01/2.psd", "train/3.jpg.part"],
            {"train/3.jpg.part": "ending .part", "train/n01/2.psd": "ending .psd"},
        ),
        ("dtd", ["images/a/1.jpg", "images/2.jpg"], {"images/2.jpg": BESIDE}),
    ],
)
def test_what_is_left_out_of_the_asked_for_splits_says_why(make_tree, layout, paths, expected):
    splits = ["all"] if layout in ("class_folders", "species", "dtd") else ["train"]
    assert left_out(layout, make_tree(*paths), splits) == expected


def test_what_lies_beside_chosen_classes_is_left_out_and_other_classes_are_not_looked_at(make_tree):
    root = make_tree("n01/a.jpg", "n02/b.xcf", "c.jpg")
    assert left_out("class_folders", root, None, ["n01"]) == {"c.jpg": BESIDE}


def test_a_class_folder_that_links_back_is_no_class(make_tree):
    root = make_tree("n01/a.jpg")
    (root / "again").symlink_to(root)
    entries = list_files("class_folders", root)
    assert [(entry.path, entry.left_out) for entry in entries] == [("again", LOOP), ("n01/a.jpg", "")]


def test_a_class_of_unread_formats_is_told_what_it_holds(make_tree):
    root = make_tree("n01/a.jpg", "n02/a.heic", "n02/b.HEIC", "n02/c.txt")
    with pytest.raises(EmptyClassError, match=r"hold no image: n02 \(ending \.heic: 2; ending \.txt: 1\)$"):
        list_files("class_folders", root)


def test_splits_are_no_classes(make_tree):
    root = make_tree("train/n01/a.jpg", "val/n01/b.jpg")
    with pytest.raises(LayoutError, match=r"are splits with classes, and not classes$"):
        list_files("class_folders", root)
    assert {entry.class_name for entry in list_files("class_folders", make_tree("train/n01/a.jpg", "train/b.jpg"))} == {
        "train",
        "val",
    }
