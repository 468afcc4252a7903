"""LSUN's databases: the images that torchvision reads, from threads and from forked workers too."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from scaling_ood.images import (
    EmptyClassError,
    Loading,
    Photographs,
    Preprocessing,
    list_files,
    open_image,
    read_image,
)
from scaling_ood.images.checks import check_images
from scaling_ood.optional import MissingLibraryError

PREPROCESSING = Preprocessing(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def lmdb():
    return pytest.importorskip("lmdb")


@pytest.fixture
def lsun(lmdb, tmp_path, make_picture):
    def lay_out(**databases):
        for name, keys in databases.items():
            with (
                lmdb.open(str(tmp_path / name), map_size=1 << 22) as environment,
                environment.begin(write=True) as writing,
            ):
                for key in keys:
                    stream = io.BytesIO()
                    make_picture(48, 40, seed=int(key, 16)).save(stream, "webp" if key == "00" else "jpeg")
                    writing.put(key.encode(), stream.getvalue())
        return tmp_path

    return lay_out


def test_a_key_is_an_image_and_a_database_a_class_or_the_test_set(lsun):
    root = lsun(test_lmdb=["0a", "00"], church_outdoor_val_lmdb=["01"], bridge_train_lmdb=["02"])
    assert [(entry.path, entry.split, entry.class_name) for entry in list_files("lsun", root)] == [
        ("bridge_train_lmdb::02", "train", "bridge"),
        ("church_outdoor_val_lmdb::01", "val", "church_outdoor"),
        ("test_lmdb::00", "test", ""),
        ("test_lmdb::0a", "test", ""),
    ]
    assert len(list_files("lsun", root, ["test"])) == 2


def test_images_are_torchvisions(lsun, tmp_path, monkeypatch):
    # Under another name, since a database may be open only once.
    theirs = lsun(tower_val_lmdb=["01", "02"]) / "tower_val_lmdb"
    monkeypatch.chdir(tmp_path)
    reference = torchvision.datasets.lsun.LSUNClass(str(theirs))
    pixels = [np.asarray(image) for image, _ in reference]
    reference.env.close()
    for entry, expected in zip(list_files("lsun", tmp_path), pixels, strict=True):
        with open_image(f"{tmp_path}/{entry.path}") as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), expected)


def test_threads_and_forked_workers_read_the_same(lsun):
    root = lsun(test_lmdb=[f"{number:02x}" for number in range(16)])
    paths = [f"{root}/{entry.path}" for entry in list_files("lsun", root)]
    checks = list(check_images([Path(path) for path in paths], 8))
    assert {check.problem for check in checks} == {""}
    assert len({check.digest for check in checks}) == 16
    alone = torch.stack([PREPROCESSING.crop(read_image(path)) for path in paths])
    with ThreadPoolExecutor(8) as pool:
        assert torch.stack(list(pool.map(lambda path: PREPROCESSING.crop(read_image(path)), paths))).equal(alone)
    batches = Loading(batch_images=4, workers=2).batches(Photographs(paths, PREPROCESSING), pin_memory=False)
    assert torch.cat(list(batches)).equal(alone)


def test_a_missing_key_fails_its_check(lsun):
    path = lsun(test_lmdb=["01"]) / "test_lmdb::02"
    (check,) = check_images([path], 1)
    assert check.problem.startswith("cannot be read: no image 02 in ")


def test_empty_databases_are_named(lsun):
    with pytest.raises(EmptyClassError, match=r"1 databases of .* hold no image: test_lmdb$"):
        list_files("lsun", lsun(test_lmdb=[], bridge_val_lmdb=["01"]))


def test_a_folder_that_is_no_database(lmdb, make_tree):
    with pytest.raises(OSError, match=r"test_lmdb is no LMDB database that can be read"):
        list_files("lsun", make_tree("test_lmdb/data.txt"))


def test_without_databases(make_tree):
    with pytest.raises(FileNotFoundError, match="no database test_lmdb or <category>_val_lmdb in"):
        list_files("lsun", make_tree("test/a.webp"))


def test_without_the_package_its_name_is_said(make_tree, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lmdb", None)
    with pytest.raises(
        MissingLibraryError,
        match=r"test_lmdb needs the package lmdb, .*: pip install -e '\.\[lmdb\]'",
    ):
        list_files("lsun", make_tree("test_lmdb/data.mdb"))
