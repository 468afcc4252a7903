"""ImageNet in the forms in which people have it; the classes of a flat validation set come from its truth."""

import re

import numpy as np
import pytest
import scipy.io

from scaling_ood.images import EmptyClassError, Entry, LayoutError, list_files

FLAT = [f"val/ILSVRC2012_val_{number:08d}.JPEG" for number in (1, 2, 3)]
TRUTH = ["n02", "n01", "n02"]
WNIDS = {"n01": "n01440764", "n02": "n01443537"}
EXPECTED = [Entry(path, "val", WNIDS[short]) for path, short in zip(FLAT, TRUTH, strict=True)]


def kaggle(root, rows=TRUTH):
    lines = [
        f"ILSVRC2012_val_{n:08d},{WNIDS[short]} 85 1 499 272 {WNIDS[short]} 3 4 5 6" for n, short in enumerate(rows, 1)
    ]
    # Kaggle's file is not in the order of the images.
    (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *reversed(lines)]) + "\n")


def devkit(folder, numbers=(490, 7, 490)):
    """Class numbers are in no order of the synsets; `meta.mat` also knows inner nodes of WordNet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{each}\n" for each in numbers))
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    rows = [(490, WNIDS["n02"], "goldfish", 0), (7, WNIDS["n01"], "tench", 0), (1001, "n00001740", "entity", 3)]
    scipy.io.savemat(folder / "meta.mat", {"synsets": np.array(rows, dtype=fields).reshape(-1, 1)})


@pytest.mark.parametrize("place", ["{}", "ILSVRC2012_img_{}", "ILSVRC/Data/CLS-LOC/{}", "Data/CLS-LOC/{}"])
def test_class_folders_need_no_truth(make_tree, place):
    paths = {split: f"{place.format(split)}/{wnid}/a.JPEG" for split, wnid in (("train", "n01"), ("val", "n02"))}
    root = make_tree(*paths.values())
    assert list_files("imagenet", root) == [
        Entry(paths["train"], "train", "n01"),
        Entry(paths["val"], "val", "n02"),
    ]


def test_one_split_is_enough(make_tree):
    assert list_files("imagenet", make_tree("val/n01/a.JPEG")) == [Entry("val/n01/a.JPEG", "val", "n01")]


def test_a_split_that_nobody_wants_is_not_looked_at(make_tree):
    root = make_tree("train/n01/", "val/n01/a.JPEG")
    assert len(list_files("imagenet", root, ["val"])) == 1
    with pytest.raises(EmptyClassError, match="train/n01"):
        list_files("imagenet", root)


def test_kaggles_truth(make_tree):
    root = make_tree(*FLAT)
    kaggle(root)
    assert list_files("imagenet", root) == EXPECTED


@pytest.mark.parametrize("folder", [".", "ILSVRC2012_devkit_t12/data", "data", "devkit/data"])
def test_the_development_kits_truth(make_tree, folder):
    root = make_tree(*FLAT)
    devkit(root / folder)
    assert list_files("imagenet", root) == EXPECTED


def test_without_truth_both_files_are_named(make_tree):
    with pytest.raises(FileNotFoundError, match=r"LOC_val_solution\.csv.*ILSVRC2012_validation_ground_truth\.txt"):
        list_files("imagenet", make_tree(*FLAT))


def test_class_numbers_without_their_meaning(make_tree):
    root = make_tree(*FLAT, "data/ILSVRC2012_validation_ground_truth.txt")
    with pytest.raises(FileNotFoundError, match=r"meta\.mat, which says what the class numbers"):
        list_files("imagenet", root)


def test_class_numbers_that_are_unknown(make_tree):
    root = make_tree(*FLAT)
    devkit(root, (490, 8, 9))
    with pytest.raises(LayoutError, match=r"meta\.mat does not know: 8, 9$"):
        list_files("imagenet", root)


def test_images_without_truth_are_named(make_tree):
    root = make_tree(*FLAT, "val/holiday.JPEG", "val/ILSVRC2012_val_00000004.JPEG")
    kaggle(root)
    message = r"2 images of .*val have no known class: ILSVRC2012_val_00000004\.JPEG, holiday\.JPEG$"
    with pytest.raises(LayoutError, match=message):
        list_files("imagenet", root)


@pytest.mark.parametrize("row", ["ILSVRC2012_val_00000001,", "x,tench 1 2 3 4"])
def test_a_solution_that_is_none(make_tree, row):
    root = make_tree(*FLAT)
    (root / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\n{row}\n")
    with pytest.raises(LayoutError, match=r"LOC_val_solution\.csv"):
        list_files("imagenet", root)


def test_a_half_sorted_validation_set_is_refused(make_tree):
    root = make_tree(*FLAT, "val/n01440764/a.JPEG")
    with pytest.raises(
        LayoutError, match=r"holds 3 images beside 1 class folders, such as ILSVRC2012_val_00000001\.JPEG"
    ):
        list_files("imagenet", root)


def test_flat_training_images_are_refused(make_tree):
    with pytest.raises(LayoutError, match="has no class folders"):
        list_files("imagenet", make_tree("train/n01440764_1.JPEG"))


def test_neither_split(make_tree):
    root = make_tree("test/a.JPEG")
    with pytest.raises(FileNotFoundError, match=f"neither train nor val in {re.escape(str(root))}; looked for train, "):
        list_files("imagenet", root)


@pytest.mark.parametrize("top", ["", "imagenet21k_resized/"])
def test_imagenet_21k_p_with_and_without_its_archives_folder(make_tree, top):
    root = make_tree(
        f"{top}imagenet21k_train/n01/a.JPEG",
        f"{top}imagenet21k_val/n01/b.JPEG",
        f"{top}imagenet21k_small_classes/n02/c.JPEG",
    )
    assert list_files("imagenet_21k_p", root) == [
        Entry(f"{top}imagenet21k_train/n01/a.JPEG", "train", "n01"),
        Entry(f"{top}imagenet21k_val/n01/b.JPEG", "val", "n01"),
    ]
    assert [entry.split for entry in list_files("imagenet_21k_p", root, ["val"])] == ["val"]


def test_imagenet_21k_p_that_is_not_there(make_tree):
    with pytest.raises(FileNotFoundError, match="neither imagenet21k_train nor imagenet21k_val in"):
        list_files("imagenet_21k_p", make_tree("train/n01/a.JPEG"))
