"""Sizes against what was published: complete copies pass, and every difference is told."""

import pandas as pd
import pytest

from scaling_ood.images import LAYOUTS, multi_label, scenes
from scaling_ood.images.counts import count_differences, expected_counts


def listing(*rows):
    """Rows of (class, split, number of images)."""
    return pd.DataFrame([(name, split) for name, split, n in rows for _ in range(n)], columns=["class_name", "split"])


def spread(split, classes, images, prefix=""):
    sizes = [images // classes + (number < images % classes) for number in range(classes)]
    return listing(*((f"{prefix}{number}", split, size) for number, size in enumerate(sizes)))


def test_species_agrees_with_the_totals_of_table_7():
    species = expected_counts().query("data_set == 'species'")
    assert len(species) == 10
    assert species[["classes", "images"]].sum().tolist() == [1316, 714_379]


def test_validation_sets_have_fifty_or_a_hundred_images_per_class():
    rows = expected_counts().set_index(["data_set", "release", "part"])
    fifty = [("imagenet", "2012", "val"), ("imagenet_21k_p", "winter21", "val"), ("imagenet_21k_p", "fall11", "val")]
    for key in fifty[:2]:
        assert rows.loc[key, "images"] == 50 * rows.loc[key, "classes"]
    # Published like this: two images more than fifty per class.
    assert rows.loc[fifty[2], "images"] == 50 * rows.loc[fifty[2], "classes"] + 2
    assert rows.loc[("places365", "standard", "val"), "images"] == 100 * 365


def test_every_counted_data_set_can_be_read():
    assert set(expected_counts()["data_set"]) <= {*LAYOUTS, *multi_label.LAYOUTS, *scenes.LAYOUTS}


def test_a_complete_copy_has_no_difference():
    assert count_differences("cifar10", pd.concat([spread("train", 10, 50_000), spread("test", 10, 10_000)])) == []


def test_splits_that_are_not_there_are_not_missed():
    assert count_differences("places365", spread("val", 365, 36_500)) == []


def test_missing_images_and_classes_are_told_with_their_source():
    assert count_differences("imagenet", spread("val", 999, 49_950)) == [
        "imagenet (2012), val: 999 classes, expected 1,000 (ILSVRC 2012)",
        "imagenet (2012), val: 49,950 images, expected 50,000 (ILSVRC 2012)",
    ]


def test_either_release_will_do_and_the_nearest_is_named():
    assert count_differences("imagenet_21k_p", spread("val", 11_221, 561_052)) == []
    assert count_differences("imagenet_21k_p", spread("val", 10_450, 522_500)) == []
    differences = count_differences("imagenet_21k_p", spread("val", 10_450, 522_499))
    assert differences == [
        "imagenet_21k_p (winter21), val: 522,499 images, expected 522,500 (ImageNet21K's processing instructions)"
    ]


def test_unlabelled_images_are_of_no_class():
    assert count_differences("places365", listing(("", "test", 328_500))) == []


def test_the_parts_of_a_whole_are_added_up():
    rows = [spread(split, 47, 1880) for split in ("train", "val", "test")]
    assert count_differences("dtd", pd.concat(rows)) == []
    assert count_differences("dtd", pd.concat(rows[:2])) == ["dtd (r1.0.1): 3,760 images, expected 5,640 (DTD's page)"]


def test_an_unknown_split_is_told():
    (told,) = count_differences("cifar10", spread("tset", 10, 10))
    assert told == "cifar10 (python): unknown part 'tset'; did you mean 'test'? (known: test, train)"


def test_supercategories_are_counted_and_all_must_be_there():
    told = count_differences("species", spread("all", 61, 1462, "Microorganisms/"))
    assert not any("Microorganisms" in each for each in told)
    assert len(told) == 18
    assert "species (paper), Fungi: 0 images, expected 163,049 (the paper, Table 7)" in told


def test_one_supercategory_read_alone():
    alone = spread("all", 61, 1462)
    assert count_differences("species", alone, part="Microorganisms") == []
    assert count_differences("species", alone.iloc[1:], part="Microorganisms") == [
        "species (paper), Microorganisms: 1,461 images, expected 1,462 (the paper, Table 7)"
    ]


def test_unknown_data_sets_and_parts_name_the_nearest():
    with pytest.raises(ValueError, match="unknown data set 'place365'; did you mean 'places365'"):
        count_differences("place365", listing())
    with pytest.raises(ValueError, match="unknown part of species 'Fungus'; did you mean 'Fungi'"):
        count_differences("species", listing(), part="Fungus")
