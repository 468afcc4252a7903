"""CIFAR-10's pickles: the pixels and labels that torchvision reads, and nothing that a pickle could run."""

import warnings

import numpy as np
import pytest
import torchvision
from python2_pickles import Call, Global, python2_pickle

from scaling_ood.images import LayoutError, Preprocessing, list_files, open_image, read_image
from scaling_ood.images.checks import check_image

CLASSES = ["airplane", "bird", "cat"]
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


@pytest.fixture
def cifar(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "batches.meta").write_bytes(python2_pickle({"label_names": CLASSES, "num_vis": 3072}))
    for name in BATCHES:
        content = {
            "batch_label": name,
            "labels": rng.integers(0, 3, 4).tolist(),
            "data": rng.integers(0, 256, (4, 3072), dtype=np.uint8),
            "filenames": ["leptodactylus_pentadactylus_s_000004.png"] * 4,
        }
        (folder / name).write_bytes(python2_pickle(content))
    return tmp_path


@pytest.mark.parametrize(("train", "split", "images"), [(True, "train", 20), (False, "test", 4)])
def test_pixels_and_labels_are_torchvisions(cifar, monkeypatch, train, split, images):
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_args, **_options: True)
    with warnings.catch_warnings():
        # numpy deprecates what torchvision lets old pickles do.
        warnings.simplefilter("ignore")
        reference = torchvision.datasets.CIFAR10(cifar, train)
    entries = list_files("cifar10", cifar, [split])
    assert len(entries) == len(reference) == images
    for entry, (image, label) in zip(entries, reference, strict=True):
        assert entry.class_name == reference.classes[label]
        with open_image(f"{cifar}/{entry.path}") as ours:
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(image))


def test_images_are_sorted_by_batch_and_number(cifar):
    entries = list_files("cifar10", cifar)
    assert len(entries) == 24
    assert entries[0].path == "cifar-10-batches-py/data_batch_1::00000"
    assert entries[-1].path == "cifar-10-batches-py/test_batch::00003"
    assert [entry.split for entry in entries] == ["train"] * 20 + ["test"] * 4


def test_an_image_passes_the_check_and_is_prepared_like_a_file(cifar, tmp_path):
    path = f"{cifar}/{list_files('cifar10', cifar)[5].path}"
    first, second = (check_image(type(tmp_path)(name)) for name in (path, path.replace("00001", "00002")))
    assert not first.problem
    assert first.digest != second.digest
    with open_image(path) as image:
        image.save(tmp_path / "a.png")
    preprocessing = Preprocessing(40, 32, "bilinear", (0.5,) * 3, (0.5,) * 3)
    assert preprocessing.crop(read_image(path)).equal(preprocessing.crop(read_image(str(tmp_path / "a.png"))))


def test_an_image_that_is_not_there(cifar):
    path = cifar / "cifar-10-batches-py" / "test_batch::00004"
    assert check_image(path).problem.startswith("cannot be read: no image 00004 in ")


def test_missing_files_are_named(cifar):
    for name in ("data_batch_2", "test_batch"):
        (cifar / "cifar-10-batches-py" / name).unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks data_batch_2, test_batch$"):
        list_files("cifar10", cifar)
    with pytest.raises(FileNotFoundError, match=r"lacks test_batch$"):
        list_files("cifar10", cifar, ["test"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (python2_pickle({"data": Call(Global("os", "getcwd"), ())}), r"it wants to build os\.getcwd, which is refused"),
        (b"<html>", "is no batch of CIFAR-10"),
        (b"", "is no batch of CIFAR-10"),
        (python2_pickle([1]), "no dictionary"),
        (python2_pickle({"data": np.zeros((2, 3072)), "labels": [0, 0]}), "'data' is no uint8 array"),
        (python2_pickle({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}), "'labels' is no list of 2 integers"),
        (
            python2_pickle({"data": np.zeros((1, 3072), np.uint8), "labels": [3]}),
            "labels that name none of 3 classes: 3",
        ),
    ],
)
def test_a_file_that_is_no_batch_is_refused(cifar, content, problem):
    (cifar / "cifar-10-batches-py" / "test_batch").write_bytes(content)
    with pytest.raises(LayoutError, match=problem):
        list_files("cifar10", cifar, ["test"])
