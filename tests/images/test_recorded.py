"""A file that changed after data preparation is noticed where it is read; one that was only touched is not."""

import os
import pickle

import lmdb
import numpy as np
import pandas as pd
import pytest

from scaling_ood.images import (
    ChangedFileError,
    Photographs,
    Preprocessing,
    RecordedFile,
    lmdb_images,
    read_image,
    read_pixels,
    recorded_files,
)
from scaling_ood.images.cifar_batches import read_batch
from scaling_ood.images.containers import read_bytes
from scaling_ood.images.files import fingerprint
from scaling_ood.images.recorded import LABEL, NO_STAMP, content_of, stamp, stamps
from scaling_ood.images.scenes import read_labels

PREPROCESSING = Preprocessing(10, 8, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def recorded(path):
    return RecordedFile(str(path), *stamp(str(path)), fingerprint(read_bytes(str(path))))


@pytest.fixture
def file(tmp_path, make_picture):
    make_picture(12, 10, "L").save(tmp_path / "a.png")
    return recorded(tmp_path / "a.png")


def other_picture(file, make_picture, keep_time=False):
    make_picture(12, 10, "L", seed=1).save(file.path)
    if keep_time:
        os.utime(file.path, ns=(file.modified_ns, file.modified_ns))


READERS = {
    "photographs": lambda file: Photographs([file], PREPROCESSING)[0],
    "read_image": read_image,
    "read_pixels": lambda file: read_pixels(file, 8),
    "read_labels": read_labels,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_file_with_other_content_is_refused_wherever_it_is_read(file, make_picture, read):
    read(file)
    other_picture(file, make_picture)
    with pytest.raises(ChangedFileError, match=r"a\.png has other content .* kedro run --pipelines data_preparation"):
        read(file)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_file_that_was_only_touched_or_copied_is_read(file, read):
    os.utime(file.path, ns=(1, 1))
    read(file)


def test_size_alone_gives_a_change_away(file, make_picture):
    other_picture(file, make_picture, keep_time=True)
    assert os.stat(file.path).st_size != file.size
    with pytest.raises(ChangedFileError):
        content_of(file)


def test_the_content_of_a_file_of_the_same_size_and_time_is_not_summed(file, monkeypatch):
    def refuse(content):
        raise AssertionError(content)

    monkeypatch.setattr("scaling_ood.images.recorded.fingerprint", refuse)
    assert content_of(file) == read_bytes(file.path)


def test_the_content_of_a_file_that_nobody_looked_at_is_compared(file, make_picture):
    bare = RecordedFile(file.path, *NO_STAMP, file.content)
    assert content_of(bare) == read_bytes(file.path)
    other_picture(file, make_picture)
    with pytest.raises(ChangedFileError):
        content_of(bare)


def test_a_bare_path_is_taken_as_it_is(tmp_path):
    (tmp_path / "any.png").write_bytes(b"any")
    assert content_of(str(tmp_path / "any.png")) == b"any"


def test_an_image_in_a_database_is_compared_by_its_own_bytes(tmp_path):
    place = tmp_path / "test_lmdb"

    def write(**images):
        lmdb_images._begin_anew()  # A process holds a database as it was; runs are processes of their own.
        with lmdb.open(str(place), map_size=1 << 20) as database, database.begin(write=True) as transaction:
            for key, value in images.items():
                transaction.put(key.encode(), value)

    write(a=b"one", b=b"two")
    first, second = (recorded(f"{place}::{key}") for key in "ab")
    assert first.size == (place / "data.mdb").stat().st_size
    write(b=b"three")
    os.utime(place / "data.mdb", ns=(1, 1))
    assert content_of(first) == read_bytes(first.path)
    with pytest.raises(ChangedFileError, match="test_lmdb::b has other content"):
        content_of(second)


def test_an_image_in_a_batch_is_compared_by_its_own_pixels(tmp_path):
    place = tmp_path / "cifar-10-batches-py"
    place.mkdir()

    def write(pixels):
        (place / "test_batch").write_bytes(pickle.dumps({"data": pixels, "labels": [0, 1]}, protocol=2))
        read_batch.cache_clear()

    pixels = np.zeros((2, 3072), np.uint8)
    write(pixels)
    first, second = (recorded(f"{place}/test_batch::{number:05d}") for number in (0, 1))
    pixels[1] = 7
    write(pixels)
    os.utime(place / "test_batch", ns=(1, 1))
    assert content_of(first) == read_bytes(first.path)
    with pytest.raises(ChangedFileError, match="test_batch::00001 has other content"):
        content_of(second)


def test_files_of_a_manifest_keep_what_was_recorded():
    rows = pd.DataFrame(
        {
            "path": ["a.jpg", "b.jpg"],
            "bytes": [5, 6],
            "modified_ns": [7, 8],
            "content": ["x", "y"],
            "label_path": ["a.png", "b.png"],
            "label_content": ["z", "w"],
        }
    )
    assert recorded_files(rows, pd.Series(["/one", "/two"]))[1] == RecordedFile("/two/b.jpg", 6, 8, "y")
    assert recorded_files(rows, "/one", LABEL)[0] == RecordedFile("/one/a.png", -1, -1, "z")


def test_files_that_are_not_there_have_no_stamp(file, tmp_path):
    assert stamps([file.path, str(tmp_path / "absent")], 2) == [(file.size, file.modified_ns), NO_STAMP]


@pytest.mark.parametrize("name", ["a::b.png", "x_lmdb::1.png"])
def test_a_file_with_the_mark_of_a_container_in_its_name_is_a_file(tmp_path, make_picture, name):
    make_picture(12, 10).save(tmp_path / name)
    file = recorded(tmp_path / name)
    assert file.size == (tmp_path / name).stat().st_size
    assert content_of(file) == read_bytes(file.path)


def test_a_name_that_no_file_can_have_has_no_stamp():
    assert stamps(["a\0b.png"], 1) == [NO_STAMP]
