"""The table of what label images hold: pixels counted by hand, bad files set apart."""

import hashlib
import os

import numpy as np
import pytest
from encoded import turned_jpeg
from PIL import Image

from scaling_ood.images.manifest import TooManyUnreadableError
from scaling_ood.images.scenes import LabelMap, label_map
from scaling_ood.images.scenes.pairing import Scene
from scaling_ood.images.scenes.survey import COLUMNS, set_apart, survey

LABELS = LabelMap.from_ids("mine", {0: 0, 1: 1, 2: 0, 8: "anomaly", 9: "void"}, {0: "road", 1: "car", 2: "lane"})


def scene(name, path=""):
    return Scene(name, path, f"{name}.png", "train", "t1")


def test_one_row_per_scene(lay_out, tmp_path):
    lay_out(("a.jpg", "a.png", [[0, 0, 8], [9, 8, 8]]), (None, "b.png", [2, 1]))
    table = survey("set", [scene("a", "a.jpg"), scene("b")], tmp_path, LABELS)
    assert list(table.columns) == [*COLUMNS, "problem"]
    digests = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()[:16] for name in ("a.jpg", "a.png")}
    first, second = table.to_dict("records")
    assert first == {
        "id": "set/train/a",
        "path": "a.jpg",
        "label_path": "a.png",
        "split": "train",
        "sequence": "t1",
        "data_set": "set",
        "height": 2,
        "width": 3,
        "anomalous": 3,
        "void": 1,
        "classes": "road;label 8;label 9",
        "content": digests["a.jpg"],
        "label_content": digests["a.png"],
        "orientation": 1,
        "bits": 8,
        "look": "",
        **{f"{kind}bytes": (tmp_path / name).stat().st_size for kind, name in (("", "a.jpg"), ("label_", "a.png"))},
        **{f"{kind}modified_ns": (tmp_path / n).stat().st_mtime_ns for kind, n in (("", "a.jpg"), ("label_", "a.png"))},
        "problem": "",
    }
    assert (second["bytes"], second["modified_ns"]) == (-1, -1)
    assert (second["classes"], second["content"], second["anomalous"], second["problem"]) == ("car;lane", "", 0, "")


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_the_order_is_that_of_the_scenes(lay_out, tmp_path, workers):
    names = [f"{number:02d}" for number in (5, 3, 9, 1, 7, 2)]
    lay_out(*((None, f"{name}.png", [8] * int(name)) for name in names))
    table = survey("set", [scene(name) for name in names], tmp_path, LABELS, workers)
    assert table["anomalous"].tolist() == [5, 3, 9, 1, 7, 2]


@pytest.fixture
def spoiled(lay_out, photograph, tmp_path):
    """One good scene and one of each kind of bad ones."""
    good = [[0, 1], [8, 9]]
    lay_out(*((f"{name}.png.jpg", f"{name}.png", good) for name in ("good", "size", "photo", "label", "absent")))
    lay_out((None, "ids.png", [0, 3, 77]), (None, "void.png", [9, 9]))
    photograph("size.png.jpg", 4, 2)
    for name in ("photo.png.jpg", "label.png"):
        os.truncate(tmp_path / name, (tmp_path / name).stat().st_size - 24)
    (tmp_path / "absent.png").unlink()
    pictured = [scene(name, f"{name}.png.jpg") for name in ("good", "size", "photo", "label", "absent")]
    return survey("set", [*pictured, scene("ids"), scene("void")], tmp_path, LABELS)


def test_every_problem_is_told_apart(spoiled):
    problems = dict(zip(spoiled["id"].str.removeprefix("set/train/"), spoiled["problem"], strict=True))
    assert problems["good"] == ""
    assert problems["size"] == "photograph of 4 x 2 px, but its label image has 2 x 2"
    assert problems["photo"].startswith("photograph: ")
    assert problems["label"].startswith("label image ")
    assert "truncated" in problems["label"]
    assert problems["absent"] == "label image cannot be read: No such file or directory"
    assert problems["ids"] == "label ids 3, 77 are not in mine (known: 0, 1, 2, 8, 9)"
    assert problems["void"] == "every pixel is void"


@pytest.fixture
def turned_scene(tmp_path, label_file):
    """Survey one scene: a photograph of 2 x 3 px with an EXIF orientation, and a label image of (rows, columns)."""

    def look(orientation, shape, said=None, label_orientation=1):
        (tmp_path / "a.jpg").write_bytes(turned_jpeg(Image.new("RGB", (2, 3)), orientation))
        exif = Image.Exif()
        exif[0x0112] = label_orientation
        label_file("a.png", np.zeros(shape), exif=exif)
        return survey("set", [scene("a", "a.jpg")], tmp_path, LABELS, orientation=said).iloc[0]

    return look


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("shape", [(3, 2), (2, 3)])
def test_a_turned_photograph_is_refused_by_the_word_exif_also_where_sizes_agree(turned_scene, orientation, shape):
    problem = turned_scene(orientation, shape)["problem"]
    assert problem.startswith(f"photograph has EXIF orientation {orientation}: its label image may be drawn the other")
    assert "data.orientation to `upright`" in problem
    assert "`stored`" in problem


@pytest.mark.parametrize(
    ("said", "orientation", "shape", "problem"),
    [
        ("stored", 3, (3, 2), ""),
        ("stored", 6, (3, 2), ""),
        ("stored", 6, (2, 3), "photograph of 2 x 3 px (stored, EXIF orientation 6), but its label image has 3 x 2"),
        ("upright", 3, (3, 2), ""),
        ("upright", 6, (2, 3), ""),
        ("upright", 6, (3, 2), "photograph of 3 x 2 px (upright, EXIF orientation 6), but its label image has 2 x 3"),
        ("upright", 1, (3, 2), ""),
        (None, 1, (3, 2), ""),
    ],
)
def test_what_a_person_says_of_turned_photographs_is_taken_at_its_word(turned_scene, said, orientation, shape, problem):
    row = turned_scene(orientation, shape, said)
    assert row["problem"] == problem
    assert row["orientation"] == orientation


@pytest.mark.parametrize(("said", "refused"), [(None, True), ("stored", True), ("upright", False)])
def test_a_tiff_that_is_turned_when_it_is_read_is_refused_under_labels_drawn_on_it_as_stored(
    tmp_path, label_file, said, refused
):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (2, 3)).save(tmp_path / "a.tif", exif=exif)
    label_file("a.png", np.zeros((2, 3)))
    problem = survey("set", [scene("a", "a.tif")], tmp_path, LABELS, orientation=said).iloc[0]["problem"]
    assert problem.startswith("photograph is a TIFF with EXIF orientation 6") if refused else problem == ""


@pytest.mark.parametrize(("said", "refused"), [(None, True), ("upright", True), ("stored", False)])
def test_a_label_image_with_an_orientation_of_its_own_is_refused(turned_scene, said, refused):
    problem = turned_scene(1, (3, 2), said, label_orientation=6)["problem"]
    assert problem.startswith("label image has an EXIF orientation of its own (6)") == refused


def test_bad_scenes_are_set_apart(spoiled):
    good, bad = set_apart(spoiled, most=0.9)
    assert good["id"].tolist() == ["set/train/good"]
    assert "problem" not in good
    assert list(bad.columns) == ["id", "data_set", "path", "problem"]
    assert len(bad) == 6


def test_too_many_bad_scenes_are_named(spoiled):
    with pytest.raises(
        TooManyUnreadableError, match=r"^6 of 7 labelled images .* share of 0\.5 .*set/train/size: "
    ) as error:
        set_apart(spoiled, most=0.5)
    assert "set/train/void: every pixel is void" in str(error.value)


def test_an_image_of_unlabelled_pixels_is_void_only_when_masked(lay_out, tmp_path):
    lay_out((None, "a.png", [1, 1]))
    for name, problem, void in (("bdd_anomaly", "", 0), ("bdd_anomaly_masked", "every pixel is void", 2)):
        row = survey("set", [scene("a")], tmp_path, label_map(name)).iloc[0]
        assert (row["problem"], row["void"]) == (problem, void)
