"""What the preparation of scenes tells and refuses: files left out, one-sided labels, frames on both sides."""

import shutil

import numpy as np
import pytest
from PIL import Image
from scaling_ood.pipelines.data_preparation.scene_nodes import prepare_scene_manifest
from scaling_ood.pipelines.model_training.scene_nodes import _files
from scaling_ood.scene_preparation import ScenePreparation

from scaling_ood.images import ChangedFileError
from scaling_ood.images.one_sided import OneSidedLabelsError
from scaling_ood.images.sharing import SharedImagesError
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.segmentation import SceneDataSpec

IDENTITY = IdentitySpec(setting="segmentation", benchmark="made_up")
RUNTIME = RuntimeSpec(device="cpu", workers=2)
SHAPE = (16, 24)
ROLES = {"train": "train", "val": "validation", "test": "test"}
IDS = {0: 0, 1: 1, 2: 2, 9: "anomaly", 255: "void"}


@pytest.fixture
def street(tmp_path):
    """Two scenes per role with three classes; the test scenes have an anomaly."""
    rng = np.random.default_rng(0)
    for split in ROLES:
        for kind in ("photos", "masks"):
            (tmp_path / "street" / kind / split).mkdir(parents=True)
        for number in range(2):
            pixels, ids = rng.integers(0, 256, (*SHAPE, 3), np.uint8), rng.integers(0, 3, SHAPE, np.uint8)
            ids[:3, :3] = 9 if split == "test" else 0
            Image.fromarray(pixels).save(tmp_path / f"street/photos/{split}/{number}.png")
            Image.fromarray(ids).save(tmp_path / f"street/masks/{split}/{number}.png")
    return tmp_path / "street"


def prepare(street, **changes):
    splits = {
        split: {"images": f"photos/{split}", "labels": f"masks/{split}", "role": role} for split, role in ROLES.items()
    }
    data = {
        "data_set": "mine",
        "layout": "paired_folders",
        "folder": "street",
        "paired": {"splits": splits, "ids": IDS},
    }
    return prepare_scene_manifest(str(street.parent), SceneDataSpec.model_validate(data | changes), IDENTITY, RUNTIME)


def relabel(street, split, change):
    for path in (street / "masks" / split).iterdir():
        Image.fromarray(change(np.asarray(Image.open(path)).copy()).astype(np.uint8)).save(path)


def test_clean_scenes_leave_nothing_to_tell(street):
    _, bad, record = prepare(street)
    assert (record["left_out"], record["shared"], record["notes"], len(bad)) == ({}, [], [], 0)


def test_files_that_are_left_out_are_counted_in_record_table_and_one_line(street, caplog):
    for name in ("photos/train/a.heic", "masks/train/a.json", "masks/val/.DS_Store", "masks/test/notes.txt"):
        (street / name).touch()
    (street / "photos/val/2.png").symlink_to("nowhere.png")
    _, bad, record = prepare(street)
    hidden = "hidden, or of the system"
    expected = {"ending .heic": 1, "ending .json": 1, "ending .txt": 1, "link to nothing": 1, hidden: 1}
    assert record["left_out"] == {"mine": expected}
    assert sorted(bad["path"]) == [
        "",
        "masks/test/notes.txt",
        "masks/train/a.json",
        "photos/train/a.heic",
        "photos/val/2.png",
    ]
    assert caplog.text.count("WARNING") == 1


@pytest.mark.parametrize(
    ("split", "change", "refused"),
    [
        (
            "test",
            lambda ids: ids * 0,
            "test: none of 2 scenes has an anomalous pixel .*: 9; what these labels hold: label 0",
        ),
        ("test", lambda ids: np.where(ids == 9, 1, ids), "test: none of 2 scenes has an anomalous pixel"),
        ("test", lambda ids: ids * 0 + 9, "test: every pixel of all 2 scenes is anomalous or void"),
        ("train", lambda ids: ids * 0, "train: all known pixels of 2 scenes are of one class, label 0"),
        ("val", lambda ids: ids * 0 + 1, "validation: all known pixels of 2 scenes are of one class, label 1"),
        ("train", lambda ids: np.where(ids == 2, 1, ids), "test: 1 classes are in no training scene.*: label 2 in 2"),
    ],
)
def test_hidden_and_one_sided_labels_are_refused_before_anything_is_trained(street, split, change, refused):
    relabel(street, split, change)
    with pytest.raises(OneSidedLabelsError, match=refused):
        prepare(street)


def test_the_same_frame_on_both_sides_is_refused_or_told(street, caplog):
    shutil.copy(street / "photos/train/0.png", street / "photos/test/1.png")
    told = r"1 of 2 \(50\.00%\) train images have the bytes of images of test \(mine/train/0 = mine/test/1\)"
    with pytest.raises(SharedImagesError, match=told):
        prepare(street)
    record = ScenePreparation.model_validate(prepare(street, most_shared=0.5)[2])
    assert [one.images for one in record.shared] == [1]
    assert "1 of 2 (50.00%) train images have the bytes of images of test" in caplog.text


def test_frames_that_look_alike_are_told_where_one_asks(street):
    picture = Image.open(street / "photos/train/0.png").resize((48, 32))
    picture.resize((24, 16)).save(street / "photos/test/1.png")
    assert prepare(street)[2]["shared"] == []
    (found,) = ScenePreparation.model_validate(prepare(street, near_duplicates=True)[2]).shared
    assert (found.near, found.examples) == (True, ("mine/train/0 = mine/test/1",))


@pytest.mark.parametrize("kind", ["photos", "masks"])
def test_a_training_refuses_a_file_that_changed(street, kind):
    manifest, _, record = prepare(street)
    files = _files(manifest, ScenePreparation.model_validate(record), "train")
    files.scene(0)
    shutil.copy(street / kind / "train/1.png", street / kind / "train/0.png")
    with pytest.raises(ChangedFileError, match=f"{kind}/train/0.png has other content"):
        files.scene(0)
