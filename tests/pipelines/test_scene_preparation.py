"""Photographs of scenes that EXIF would turn: refused, or read as a person says, in preparation and training."""

import numpy as np
import pytest
from encoded import turned_jpeg
from PIL import Image, ImageOps
from scaling_ood.pipelines.data_preparation.scene_nodes import prepare_scene_manifest
from scaling_ood.pipelines.model_training.scene_nodes import _files
from scaling_ood.scene_preparation import ScenePreparation

from scaling_ood.images.manifest import TooManyUnreadableError
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.segmentation import SceneDataSpec

IDENTITY = IdentitySpec(setting="segmentation", benchmark="made_up")
RUNTIME = RuntimeSpec(device="cpu", workers=2)
HEIGHT, WIDTH = 16, 24
ROLES = {"train": "train", "val": "validation", "test": "test"}


def prepare(root, orientation, labels_upright, said):
    """One scene per role, that of the training with an EXIF orientation; the manifest and the record."""
    rng = np.random.default_rng(0)
    for split in ROLES:
        for kind in ("photos", "masks"):
            (root / "street" / kind / split).mkdir(parents=True, exist_ok=True)
        own = orientation if split == "train" else 1
        pixels = Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
        (root / f"street/photos/{split}/a.jpg").write_bytes(turned_jpeg(pixels, own))
        shape = (WIDTH, HEIGHT) if own > 4 and labels_upright else (HEIGHT, WIDTH)
        ids = rng.integers(0, 2, shape, np.uint8)
        ids[0, 0] = 2 if split == "test" else 0
        Image.fromarray(ids).save(root / f"street/masks/{split}/a.png")
    splits = {
        split: {"images": f"photos/{split}", "labels": f"masks/{split}", "role": role} for split, role in ROLES.items()
    }
    data = {"data_set": "mine", "layout": "paired_folders", "folder": "street", "orientation": said}
    spec = SceneDataSpec.model_validate(data | {"paired": {"splits": splits, "ids": {0: 0, 1: 1, 2: "anomaly"}}})
    manifest, _, record = prepare_scene_manifest(str(root), spec, IDENTITY, RUNTIME)
    return manifest, ScenePreparation.model_validate(record)


@pytest.mark.parametrize("orientation", [2, 3, 6])
def test_by_default_they_are_refused_by_the_word_exif(tmp_path, orientation):
    with pytest.raises(TooManyUnreadableError, match=f"photograph has EXIF orientation {orientation}: .* `upright`"):
        prepare(tmp_path, orientation, labels_upright=True, said=None)


def test_where_there_are_none_nothing_is_said(tmp_path, caplog):
    assert prepare(tmp_path, 1, labels_upright=True, said=None)[1].oriented == {}
    assert "EXIF" not in caplog.text


@pytest.mark.parametrize("orientation", [3, 6])
def test_as_stored_by_word_their_pixels_are_taken_as_they_lie(tmp_path, caplog, orientation):
    manifest, record = prepare(tmp_path, orientation, labels_upright=False, said="stored")
    assert record.oriented == {"train": 1}
    assert caplog.text.count("EXIF orientation: 1 of train: taken as stored") == 1
    files = _files(manifest, record, "train")
    image, labels = files.scene(0)
    assert labels.shape == (HEIGHT, WIDTH)
    with Image.open(files.images[0].path) as stored:
        assert np.array_equal(image, stored)


@pytest.mark.parametrize("orientation", [3, 6])
def test_upright_by_word_a_training_sees_them_turned(tmp_path, caplog, orientation):
    manifest, record = prepare(tmp_path, orientation, labels_upright=True, said="upright")
    assert caplog.text.count("EXIF orientation: 1 of train: turned as EXIF says") == 1
    files = _files(manifest, record, "train")
    image, labels = files.scene(0)
    assert image.size == labels.shape[::-1]
    with Image.open(files.images[0].path) as stored:
        assert np.array_equal(image, ImageOps.exif_transpose(stored))


def test_turning_them_makes_other_products_of_their_role_alone(tmp_path):
    records = [prepare(tmp_path, 3, labels_upright=True, said=said)[1] for said in ("stored", "upright")]
    roles = {role for role in records[0].digests if records[0].digests[role] != records[1].digests[role]}
    assert roles == {"train"}
