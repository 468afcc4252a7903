"""Labels that one side lacks are refused with set, counts and what to do."""

import pandas as pd
import pytest

from scaling_ood.images.one_sided import (
    OneSidedLabelsError,
    refuse_one_sided_classes,
    refuse_one_sided_labels,
    unlearned_labels,
)


def classes(**sets):
    rows = [(role, name) for role, names in sets.items() for name in names.split(",")]
    return pd.DataFrame(rows, columns=["image_set", "class_name"])


@pytest.mark.parametrize(
    ("sets", "refused"),
    [
        ({"train": "a,b", "fit": "a,b", "test": "a,b", "odd": "a,z"}, ""),
        ({"train": "a,b,c", "fit": "a", "test": "a,b"}, ""),
        ({"fit": "a,b", "test": "a,b,c"}, ""),
        ({"fit": "a", "test": "a"}, ""),
        (
            {"train": "ant,bee", "fit": "ant,bee", "test": "ant,ANT,cow,cow"},
            r"test: 2 classes have no training image.*: ANT with 1 \(did you mean ant\?\), cow with 2\. Give each",
        ),
        (
            {"train": "caf\u00e9,a", "fit": "a", "test": "cafe\u0301,a"},
            r"with 1 \(a training class has the same letters in another Unicode form\)",
        ),
        ({"train": "a,b", "fit": "c,a", "test": "a,b"}, "fit: 1 classes have no training image"),
        ({"train": "a,a", "fit": "a", "test": "a"}, "train: all 2 images are of one class, a: a classifier needs two"),
        ({"train": "a,b", "fit": "a,b", "test": "a,a,a"}, "test: all 3 images are of one class, a, of 2.*hidden"),
        ({"fit": "a,b", "test": "b,b"}, "test: all 2 images are of one class, b, of 2"),
        ({"train": "a,b", "fit": "a", "test": ","}, "test: 2 of 2 images have no class.*hidden"),
    ],
)
def test_classes_that_one_side_lacks_are_refused(sets, refused):
    if not refused:
        refuse_one_sided_classes(classes(**sets))
        return
    with pytest.raises(OneSidedLabelsError, match=refused):
        refuse_one_sided_classes(classes(**sets))


def labels(**sets):
    rows = [(f"{role}/{number}", role, each) for role, own in sets.items() for number, each in enumerate(own)]
    return pd.DataFrame(rows, columns=["id", "image_set", "labels"])


@pytest.mark.parametrize(
    ("sets", "refused"),
    [
        ({"train": ["0", "1"], "fit": ["0", ""], "test": ["0;1"]}, ""),
        ({"train": ["0", "1"], "fit": ["0"], "test": [None, None]}, ""),
        ({"train": ["0", None], "fit": ["0"], "test": ["0"]}, "train: 1 of 2 images have no labels: train/1"),
        ({"train": ["0"], "fit": [None], "test": ["0"]}, "fit: 1 of 1 images have no labels: fit/0"),
        ({"train": ["0"], "fit": ["", ""], "test": ["0"]}, "fit: none of 2 labelled images shows any class.*hidden"),
        ({"train": ["0"], "fit": ["0"], "test": ["", "", None]}, "test: none of 2 labelled images shows any class"),
        ({"train": [""], "fit": ["0"], "test": [""]}, "train: none of 1 .*\ntest: none of 1 "),
    ],
)
def test_several_labels_that_one_side_lacks_are_refused(sets, refused):
    if not refused:
        refuse_one_sided_labels(labels(**sets))
        return
    with pytest.raises(OneSidedLabelsError, match=refused):
        refuse_one_sided_labels(labels(**sets))


def test_classes_that_only_test_images_show_are_told():
    rows = labels(train=["0", ""], fit=["0;2"], test=["2", "1", None], odd=[None])
    assert unlearned_labels(rows, ("ant", "bee", "cow")) == [
        "2 classes are in fit or test images and in no training image: bee in 1, cow in 2"
    ]
    assert unlearned_labels(rows.assign(labels="0"), ("ant", "bee", "cow")) == []
