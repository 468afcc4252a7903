"""Label images are read as they are stored; anything that would change an id is refused by name."""

import hashlib
import os
from functools import partial

import numpy as np
import pytest
from PIL import Image

from scaling_ood.images.scenes.reading import UnreadableLabelError, count_labels, read_labels

IDS = np.arange(256, dtype=np.uint8).reshape(8, 32)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_ids_survive(label_file, mode):
    path = label_file("a.png", IDS, mode)
    read = read_labels(path)
    assert read.dtype == np.uint8
    assert (read == IDS).all()
    assert (count_labels(path).pixels == 1).all()


def test_palette_images_of_few_bits_keep_their_ids(label_file):
    path = label_file("a.png", [[0, 1, 2, 3]], "P", bits=2)
    assert read_labels(path).tolist() == [[0, 1, 2, 3]]


def test_counting(label_file):
    path = label_file("a.png", [[3, 3, 255], [0, 3, 0]])
    count = count_labels(path)
    assert count[:3] == (hashlib.sha256(path.read_bytes()).hexdigest()[:16], 2, 3)
    assert {each: int(number) for each, number in enumerate(count.pixels) if number} == {0: 2, 3: 3, 255: 1}
    assert count.problem == ""


@pytest.mark.parametrize("bits", [8, 16])
def test_ids_in_16_bits_are_kept_as_ids(tmp_path, bits):
    Image.fromarray(IDS.astype(np.uint16) if bits == 16 else IDS).save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").dtype == np.uint8
    assert (read_labels(tmp_path / "a.png") == IDS).all()
    assert (count_labels(tmp_path / "a.png").pixels == 1).all()


def _of_mode(mode, path):
    Image.new(mode, (4, 4)).save(path, "TIFF" if mode in ("F", "LAB") else "PNG")


def _colour(path):
    Image.new("RGB", (4, 4)).save(path)


def _deep(path):
    Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(path)


def _lossy(path, kind="JPEG", **options):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path, kind, **options)


def _inverted(path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path, "TIFF", tiffinfo={262: 0})


def _two_bits(path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path, bits=2)


def _truncated(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 20, (60, 80), np.uint8)).save(path)
    os.truncate(path, path.stat().st_size // 2)


BROKEN = [
    (
        _colour,
        "is of mode RGB, not a label image: store the id of each pixel as grey of 8 or 16 bits (L, I;16)",
    ),
    (_deep, "has ids up to 1,000 in 16 bits; label maps know 0..255"),
    (_lossy, "is a JPEG by its content, which keeps no ids"),
    (partial(_lossy, kind="TIFF", compression="jpeg"), "is a JPEG by its content, which keeps no ids"),
    (partial(_lossy, kind="MPO", save_all=True, append_images=[Image.new("L", (4, 4))]), "is a MPO by its content"),
    (_inverted, "is stored as ('L;I', 0, 1), not a label image"),
    *((partial(_of_mode, mode), f"is of mode {mode}, not a label image") for mode in ("1", "LA", "RGBA", "F", "LAB")),
    (_two_bits, "is stored as L;2, not a label image"),
    (_truncated, "truncated"),
    (lambda path: path.write_bytes(b"GIF"), "cannot identify image file"),
    (lambda path: path.touch(), "cannot be read: is empty"),
    (os.mkfifo, "cannot be read: is a FIFO, no regular file"),
    (lambda path: None, "cannot be read: No such file"),
]


@pytest.mark.parametrize(("spoil", "problem"), BROKEN, ids=[problem[:30] for _, problem in BROKEN])
def test_broken_files_are_named(tmp_path, spoil, problem):
    spoil(tmp_path / "a.png")
    with pytest.raises(UnreadableLabelError) as error:
        read_labels(tmp_path / "a.png")
    assert str(error.value).startswith(f"{tmp_path / 'a.png'}: ")
    assert problem in str(error.value)
    count = count_labels(tmp_path / "a.png")
    assert problem in count.problem
    assert count.pixels.sum() == count.height == count.width == 0
