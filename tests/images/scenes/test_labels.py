"""Label maps: every shipped id, one by one; maps written out by hand; what is wrong with them is said at once."""

import csv
import re

import numpy as np
import pytest

from scaling_ood.images.scenes import ANOMALY, VOID, LabelMap, UnknownLabelError, label_map, label_map_names
from scaling_ood.images.scenes.tables import LABEL_TABLES, MASKED

A, V = ANOMALY, VOID
MEANINGS = {
    "streethazards": {**{raw: raw - 1 for raw in range(1, 14)}, 14: A},
    "streethazards_masked": {1: V, **{raw: raw - 1 for raw in range(2, 14)}, 14: A},
    "bdd_anomaly": {**{raw: raw - 1 for raw in range(1, 18)}, 18: A, 19: A, 20: A},
    "bdd_anomaly_masked": {1: V, **{raw: raw - 1 for raw in range(2, 18)}, 18: A, 19: A, 20: A},
    "bdd100k": {**{raw: raw + 1 for raw in range(16)}, 16: A, 17: A, 18: A, 255: 0},
    "bdd100k_masked": {**{raw: raw + 1 for raw in range(16)}, 16: A, 17: A, 18: A, 255: V},
    "fishyscapes_lost_and_found": {0: 0, 1: A, 255: V},
    "road_anomaly": {0: 0, 1: 0, 2: A, 255: V},
    "road_anomaly_binary": {0: 0, 1: A, 255: V},
    "camvid_anomaly": {**{raw: raw for raw in range(10)}, 10: A, 11: V},
}
CLASSES = {"streethazards": 13, "bdd_anomaly": 17, "bdd100k": 17, "camvid_anomaly": 10}


def test_every_shipped_map_is_listed_here():
    assert label_map_names() == sorted(MEANINGS)


@pytest.mark.parametrize("name", MEANINGS)
def test_every_id_becomes_what_the_protocol_says(name):
    labels = label_map(name)
    raw = np.array([list(MEANINGS[name])], np.uint8)
    mapped = labels.apply(raw)
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == [list(MEANINGS[name].values())]
    assert labels.unknown_ids(range(256)) == [each for each in range(256) if each not in MEANINGS[name]]


@pytest.mark.parametrize(("name", "classes"), CLASSES.items())
def test_networks_have_the_published_number_of_outputs(name, classes):
    assert len(label_map(name).classes) == classes


def test_both_forms_of_bdd_give_the_same_classes_colours_and_train_ids():
    released, plain = label_map("bdd_anomaly"), label_map("bdd100k")
    assert released.classes == plain.classes
    assert (released.palette == plain.palette).all()
    raw = np.arange(19, dtype=np.uint8)
    assert (released.apply(raw + 2) == plain.apply(raw)).all()
    assert released.apply(np.uint8([1])) == plain.apply(np.uint8([255]))
    assert [row.name for row in plain.rows if row.role == "anomaly"] == ["train", "motorcycle", "bicycle"]


@pytest.mark.parametrize("table", LABEL_TABLES)
def test_tables_are_sorted_and_complete(table):
    with LABEL_TABLES[table].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["raw_id", "name", "red", "green", "blue", "role", "train_id"]
    assert [int(row["raw_id"]) for row in rows] == sorted(int(row["raw_id"]) for row in rows)
    assert all(0 <= int(row[colour]) < 256 for row in rows for colour in ("red", "green", "blue"))
    assert all((row["role"] == "class") == bool(row["train_id"]) for row in rows)
    assert {row["role"] for row in rows} <= {"class", "anomaly", "void"}


def test_streethazards_colours_are_those_of_the_released_code():
    palette = label_map("streethazards").palette
    assert palette[[0, 3, 6, 10]].tolist() == [[0, 0, 0], [250, 170, 160], [157, 234, 50], [0, 0, 142]]
    assert palette[ANOMALY].tolist() == [60, 250, 240]


@pytest.mark.parametrize("table", MASKED)
def test_a_masked_map_differs_in_void_alone(table):
    whole, masked = label_map(table), label_map(f"{table}_masked")
    assert whole.ids("void") == []
    assert masked.ids("void") == [row.raw_id for row in whole.rows if row.train_id == 0]
    assert masked.classes == whole.classes
    assert masked.digest != whole.digest


def test_unknown_ids_name_file_and_ids():
    message = (
        "a.png: label ids 0, 15, 200 are not in streethazards (known: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)"
    )
    with pytest.raises(UnknownLabelError, match=f"^{re.escape(message)}$"):
        label_map("streethazards").apply(np.uint8([[1, 15], [200, 0]]), "a.png")


def test_only_bytes_are_ids():
    with pytest.raises(TypeError, match=r"a\.png: label ids must be uint8, not int64"):
        label_map("streethazards").apply(np.array([1]), "a.png")


def test_an_unknown_map_names_the_nearest():
    with pytest.raises(
        ValueError, match=r"unknown label map 'bdd_anomoly'; did you mean 'bdd_anomaly'\? \(known: bdd100k, "
    ):
        label_map("bdd_anomoly")


@pytest.mark.parametrize("kind", [int, str], ids=["numbers", "text"])
def test_a_map_written_out(kind):
    ids = {kind(7): 1, kind(8): 1, kind(9): 0, kind(3): "anomaly", kind(255): "void"}
    labels = LabelMap.from_ids("mine", ids, {kind(7): "car", kind(9): "road"})
    assert labels.classes == ("road", "car")
    assert [row.name for row in labels.rows] == ["car", "label 8", "road", "label 3", "label 255"]
    assert labels.apply(np.uint8([7, 8, 9, 3, 255])).tolist() == [1, 1, 0, ANOMALY, VOID]
    assert len({tuple(labels.palette[train_id]) for train_id in (0, 1, ANOMALY, VOID)}) == 4


def test_everything_wrong_with_a_written_map_is_said_at_once():
    with pytest.raises(ValueError, match=r"^label map mine: ") as error:
        LabelMap.from_ids("mine", {256: 0, "x": 1, 3: "anomoly", 4: True, 5: 2, 6: 4, -1: 0}, {9: "car"})
    for problem in (
        "names for ids that are not there: 9",
        "'256' is no label id (0..255)",
        "'x' is no label id",
        "'-1' is no label id",
        "id 3: unknown meaning 'anomoly'; did you mean 'anomaly'?",
        "id 4: unknown meaning 'True'",
        "train ids must be 0, 1, 2, … without a gap, at most 253 of them (given: 2, 4)",
    ):
        assert problem in str(error.value)


@pytest.mark.parametrize(
    ("ids", "names", "problem"),
    [
        ({0: 0, "0": 1}, {}, "id 0 more than once"),
        ({0: 0, 1: 1}, {0: "car", 1: "car"}, "name car more than once"),
        ({0: 0}, {0: "a;b"}, "a semicolon in a;b"),
        ({0: "void", 1: "anomaly"}, {}, "(given: none)"),
        ({0: 1}, {}, "(given: 1)"),
    ],
)
def test_maps_that_contradict_themselves(ids, names, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        LabelMap.from_ids("mine", ids, names)


def test_masking_needs_a_class():
    with pytest.raises(ValueError, match="label map camvid_anomaly: unknown class 'Bicyclist'"):
        label_map("camvid_anomaly").masking("mine", "Bicyclist")


def test_the_digest_follows_the_meaning_and_not_the_names():
    plain = LabelMap.from_ids("a", {0: 0, 1: "void"})
    assert plain.digest == LabelMap.from_ids("b", {0: 0, 1: "void"}, {0: "road"}).digest
    assert plain.digest != LabelMap.from_ids("a", {0: 0, 1: "anomaly"}).digest
