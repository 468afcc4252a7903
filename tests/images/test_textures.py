"""DTD: all three splits together, each image once."""

import pytest
import torchvision
from image_trees import images_of

from scaling_ood.images import Entry, LayoutError, list_files

NAMES = ["banded/banded_0002.jpg", "banded/banded_0004.jpg", "dotted/dotted_0001.jpg", "dotted/dotted_0007.jpg"]
LISTS = {"train": NAMES[0:1], "val": NAMES[2:3], "test": [NAMES[1], NAMES[3]]}


@pytest.fixture
def textures(make_tree):
    def lay_out(top="", lists=LISTS):
        root = make_tree(*(f"{top}images/{name}" for name in NAMES), f"{top}images/banded/.directory")
        labels = root / top / "labels"
        if lists is not None:
            labels.mkdir()
            for split, names in lists.items():
                (labels / f"{split}1.txt").write_text("".join(f"{name}\n" for name in names))
        return root

    return lay_out


@pytest.mark.parametrize("top", ["", "dtd/"])
def test_every_image_with_its_split(textures, top):
    split_of = {name: split for split, names in LISTS.items() for name in names}
    assert images_of(list_files("dtd", textures(top))) == [
        Entry(f"{top}images/{name}", split_of[name], name.split("/")[0]) for name in NAMES
    ]


def test_the_union_of_torchvisions_splits_is_the_same(textures, tmp_path):
    root = textures("dtd/dtd/") / "dtd"
    splits = [torchvision.datasets.DTD(tmp_path, split) for split in LISTS]
    theirs = sorted(path.relative_to(root).as_posix() for split in splits for path in split._image_files)
    assert [entry.path for entry in images_of(list_files("dtd", root))] == theirs


def test_without_lists_all_are_of_one_split(textures):
    assert {entry.split for entry in list_files("dtd", textures(lists=None))} == {"all"}


def test_a_missing_list_is_named(textures):
    root = textures()
    (root / "labels" / "val1.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks val1\.txt$"):
        list_files("dtd", root)


def test_all_that_is_wrong_with_the_lists_is_said(textures):
    root = textures(lists=LISTS | {"val": [NAMES[0], "dotted/absent.jpg"]})
    message = (
        r"1 images are in no list: images/dotted/dotted_0001\.jpg; 1 listed images are not there: "
        r"images/dotted/absent\.jpg; 1 images are listed more than once$"
    )
    with pytest.raises(LayoutError, match=message):
        list_files("dtd", root)


def test_without_images(make_tree):
    with pytest.raises(FileNotFoundError, match=r"no folder .*images"):
        list_files("dtd", make_tree("labels/train1.txt"))
