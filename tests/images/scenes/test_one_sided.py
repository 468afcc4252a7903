"""Scenes whose labels are hidden or of one side are refused with set, counts and what to do."""

import pandas as pd
import pytest

from scaling_ood.images.one_sided import OneSidedLabelsError
from scaling_ood.images.scenes import LabelMap, refuse_one_sided_scenes

LABELS = LabelMap.from_ids(
    "mine", {0: 0, 1: 1, 2: 1, 9: "anomaly", 255: "void"}, {0: "road", 1: "car", 2: "van", 9: "cow", 255: "none"}
)
TRAIN = ("train", "road;car", 0, 0)
VALIDATION = ("validation", "road;van", 0, 0)
TEST = ("test", "road;cow", 5, 0)


def scenes(*rows, **columns):
    """Role, what is shown, anomalous and void pixels, of 100 in each scene."""
    table = pd.DataFrame(rows, columns=["image_set", "classes", "anomalous", "void"])
    return table.assign(height=10, width=10, **columns)


@pytest.mark.parametrize(
    "rows",
    [(TRAIN, VALIDATION, TEST), (TEST,), (TRAIN, VALIDATION, ("test", "road", 0, 0), TEST, ("test", "cow", 100, 0))],
)
def test_scenes_with_anomalies_among_known_pixels_pass(rows):
    refuse_one_sided_scenes(scenes(*rows), LABELS)


@pytest.mark.parametrize(
    ("rows", "refused"),
    [
        (
            (TRAIN, VALIDATION, ("test", "road", 0, 0), ("test", "road;none", 0, 9)),
            r"^test: none of 2 scenes has an anomalous pixel \(ids of anomalies in the label map mine: 9; "
            r"what these labels hold: none, road\)\. If the labels of these images are hidden",
        ),
        (
            (TRAIN, ("test", "cow", 100, 0), ("test", "road", 0, 0)),
            "^test: none of 2 scenes has anomalous and known pixels",
        ),
        (
            (TRAIN, ("test", "cow", 100, 0), ("test", "cow;none", 60, 40)),
            "^test: every pixel of all 2 scenes is anomalous or",
        ),
        (
            (("train", "road", 0, 0), ("train", "road;none", 0, 1), TEST),
            "^train: all known pixels of 2 .* class, road, of 2",
        ),
        ((TRAIN, ("validation", "van", 0, 0), TEST), "^validation: all known pixels of 1 scenes are of one class, car"),
        (
            (("train", "road", 0, 0), VALIDATION, ("test", "van;car;cow", 5, 0)),
            "test: 1 classes are in no training scene.*: car in 1. Add scenes",
        ),
    ],
)
def test_one_sided_labels_are_refused(rows, refused):
    with pytest.raises(OneSidedLabelsError, match=refused):
        refuse_one_sided_scenes(scenes(*rows), LABELS)


def test_a_subset_without_an_anomaly_is_named():
    rows = scenes(TRAIN, TEST, ("test", "road", 0, 0), subsets=["", "all", "all;unseen"])
    with pytest.raises(OneSidedLabelsError, match=r"^subset unseen of test: none of 1 scenes has an anomalous pixel"):
        refuse_one_sided_scenes(rows, LABELS)


def test_a_map_that_tells_anomalies_alone_has_no_classes_to_learn():
    alone = LabelMap.from_ids("two", {0: 0, 1: "anomaly"}, {0: "known", 1: "odd"})
    refuse_one_sided_scenes(scenes(("train", "known", 0, 0), ("test", "known;odd", 5, 0)), alone)
