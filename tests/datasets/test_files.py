"""Files that people provide."""

import hashlib

import pytest
from kedro.io import DatasetError

from scaling_ood.datasets import (
    CheckpointDataset,
    ImageRootDataset,
    ProvidedFileDataset,
    RecordedDataset,
    ReportDataset,
    ShardsDataset,
)
from scaling_ood.storage import StorageError


def test_a_file_is_known_by_its_content(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"weights")
    loaded = ProvidedFileDataset(filepath=str(tmp_path / "weights.pth")).load()
    assert loaded.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert loaded.path == str(tmp_path / "weights.pth")


def test_whether_it_is_there(tmp_path):
    dataset = ProvidedFileDataset(filepath=str(tmp_path / "weights.pth"))
    assert not dataset.exists()
    (tmp_path / "weights.pth").write_bytes(b"")
    assert dataset.exists()


def test_it_is_read_only(tmp_path):
    with pytest.raises(DatasetError):
        ProvidedFileDataset(filepath=str(tmp_path / "weights.pth")).save(None)


@pytest.mark.parametrize(
    "kind", [ProvidedFileDataset, ShardsDataset, CheckpointDataset, RecordedDataset, ReportDataset, ImageRootDataset]
)
def test_a_place_in_a_file_system_that_does_not_serve_is_refused_and_not_made_a_folder(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="ftp://host/x: 'ftp://' does not serve"):
        kind(filepath="ftp://host/x")
    assert list(tmp_path.iterdir()) == []


def test_weights_in_a_store_are_refused():
    with pytest.raises(StorageError, match="s3://bucket/x: weights are read only from a local disk: copy it there"):
        ProvidedFileDataset(filepath="s3://bucket/x")
