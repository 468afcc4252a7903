"""Roles by split and content, subsets of the test images; contradictions are errors."""

import re

import pandas as pd
import pytest

from scaling_ood.images.scenes.splits import SplitError, SplitRule, Subset, in_subset, mark_subsets, split_by_content

ROWS = [
    ("a", "train", "s1", 0),
    ("b", "val", "s1", 5),
    ("c", "train", "s2", 7),
    ("d", "val", "s3", 0),
    ("e", "train", "s1", 0),
    ("f", "val", "s3", 1),
    ("g", "train", "", 2),
]
RULE = SplitRule({"train": "train", "val": "validation"}, anomalous="test")


@pytest.fixture
def table():
    return pd.DataFrame(ROWS, columns=["id", "split", "sequence", "anomalous"])


def test_anomalies_go_to_test_from_every_split(table):
    manifest = split_by_content(table, RULE)
    assert list(manifest.columns[:2]) == ["id", "image_set"]
    assert list(zip(manifest["id"], manifest["image_set"], strict=True)) == [
        ("a", "train"),
        ("e", "train"),
        ("d", "validation"),
        *((name, "test") for name in "bcfg"),
    ]
    assert "image_set" not in table


def test_the_split_alone_decides_without_a_role_for_anomalies(table):
    table["split"] = ["train", "test", "test", "validation", "train", "test", "test"]
    manifest = split_by_content(table, SplitRule({split: split for split in ("train", "validation", "test")}))
    assert (manifest["split"] == manifest["image_set"]).all()
    assert manifest["id"].tolist() == list("aedbcfg")


def test_anomalies_never_leak(table):
    with pytest.raises(SplitError, match=r"^4 images to train or validate on hold anomalies: b, c, f, g$"):
        split_by_content(table, SplitRule(RULE.clean))


def test_everything_wrong_is_said_at_once(table):
    table.loc[0, "split"] = "extra"
    table["anomalous"] = [0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(SplitError) as error:
        split_by_content(table[table["split"] != "train"], RULE)
    assert (
        str(error.value)
        == "no role for split extra (roles are given for: train, val); no image is left for the role test"
    )


def test_a_role_that_content_empties(table):
    table["anomalous"] = [1, 5, 7, 0, 1, 1, 1]
    with pytest.raises(SplitError, match=r"^no image is left for the role train$"):
        split_by_content(table, RULE)


def test_roles_are_known():
    with pytest.raises(ValueError, match=r"unknown role 'valid'; did you mean 'validation'\?.*; unknown role 'tset'"):
        SplitRule({"val": "valid"}, anomalous="tset")


def test_subsets_of_the_test_images(table):
    manifest = mark_subsets(
        split_by_content(table, RULE),
        {"all": Subset(), "val": Subset(splits=["val"]), "unseen": Subset(unseen_sequences=True)},
    ).set_index("id")
    # s1 has training images; s3 only validates; an image without a sequence is not known to be unseen.
    assert manifest["subsets"].to_dict() == {
        "a": "",
        "e": "",
        "d": "",
        "b": "all;val",
        "c": "all;unseen",
        "f": "all;val;unseen",
        "g": "all",
    }
    assert manifest.index[in_subset(manifest, "unseen")].tolist() == ["c", "f"]


def test_subsets_that_hold_nothing(table):
    manifest = split_by_content(table.assign(sequence="s1"), RULE)
    unknown = re.escape("subset x: unknown split 'vla'; did you mean 'val'? (known: train, val)")
    empty = "subset x: no test image belongs to it; subset unseen: no test image belongs to it"
    with pytest.raises(SplitError, match=f"^{unknown}; {empty}$"):
        mark_subsets(manifest, {"x": Subset(splits=["vla"]), "unseen": Subset(unseen_sequences=True)})
