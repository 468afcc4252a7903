"""Labels in a manifest and as multi-hot vectors; absent is not zero."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MultiLabelBinarizer

from scaling_ood.images.multi_label.labels import images_per_class, is_labelled, join_labels, targets

CLASSES = tuple(f"class {number}" for number in range(12))


def manifest(*labels, image_set="test"):
    return pd.DataFrame(
        {"id": [f"x/{number}" for number in range(len(labels))], "labels": labels, "image_set": image_set}
    )


def test_targets_equal_those_of_scikit_learn():
    random = np.random.default_rng(0)
    labels = [np.flatnonzero(random.random(12) < 0.2).tolist() for _ in range(200)]
    hot = targets(manifest(*map(join_labels, labels)), CLASSES)
    expected = MultiLabelBinarizer(classes=range(12)).fit_transform(labels)
    np.testing.assert_array_equal(hot, expected)
    assert hot.dtype == np.uint8
    assert (expected.sum(axis=1) == 0).any()


def test_labels_survive_a_parquet_file_missing_or_empty(tmp_path):
    manifest("3", "", None, "0;11").to_parquet(tmp_path / "manifest.parquet")
    stored = pd.read_parquet(tmp_path / "manifest.parquet")
    assert is_labelled(stored).tolist() == [True, True, False, True]
    assert targets(stored[is_labelled(stored)], CLASSES).sum(axis=1).tolist() == [1, 0, 2]


def test_the_target_of_an_unlabelled_image_is_absent():
    with pytest.raises(ValueError, match=r"^2 of 3 images have no labels: x/1, x/2$"):
        targets(manifest("1", None, None), CLASSES)


@pytest.mark.parametrize("labels", ["12", "-1", "2;1", "1;1"])
def test_labels_that_are_no_ascending_indices_are_named(labels):
    with pytest.raises(ValueError, match=rf"of 12 classes: x/1: '{labels}'$"):
        targets(manifest("0", labels), CLASSES)


def test_targets_of_no_image_have_a_column_per_class():
    assert targets(manifest(), CLASSES).shape == (0, 12)


def test_images_per_class_leave_unlabelled_images_out():
    rows = pd.concat([manifest("0;1", "1", ""), manifest("1", None, image_set="fit"), manifest(None, image_set="ood")])
    table = images_per_class(rows, ["ant", "bee", "cow"])
    assert table.to_dict("list") == {"name": ["ant", "bee", "cow"], "test": [1, 2, 0], "fit": [0, 1, 0]}
