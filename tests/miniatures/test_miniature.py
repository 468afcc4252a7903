"""The images: layout, form, and the same bytes in any order and any process."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from miniatures import MiniatureSpec, folders, render_folder, render_image

SMALL = MiniatureSpec(
    families=4,
    species_per_family=2,
    ood_families=3,
    supercategories=2,
    train_images=3,
    val_images=2,
    ood_images=2,
    size_px=32,
)

DIGEST = """
import hashlib, sys
sys.path[:] = {path!r}
from miniatures import MiniatureSpec, folders, render_image
spec = MiniatureSpec(families=5, ood_families=2, supercategories=1, train_images=2)
images = [render_image(spec, folder, 1) for folder in reversed(folders(spec))]
print(hashlib.sha256(b"".join(image.tobytes() for image in reversed(images))).hexdigest())
"""


def test_layout():
    listed = folders(MiniatureSpec())
    counts = dict.fromkeys(("train", "val", "ood"), 0)
    for folder, content in listed.items():
        place = () if content.species.supercategory is None else (content.species.supercategory,)
        assert folder == "/".join((content.split, *place, content.species.name))
        counts[content.split] += 1
    assert counts == {"train": 120, "val": 120, "ood": 48}


def test_listing_is_a_copy():
    folders(SMALL).clear()
    assert folders(SMALL)


def test_files_of_a_folder():
    folder, content = next(iter(folders(SMALL).items()))
    files = render_folder(SMALL, folder)
    assert list(files) == [f"{content.species.name}_{index:05d}.jpg" for index in range(SMALL.train_images)]
    for index, image in enumerate(files.values()):
        np.testing.assert_array_equal(image, render_image(SMALL, folder, index))


@pytest.mark.parametrize("size_px", [16, 33, 64])
def test_form_of_an_image(size_px):
    spec = MiniatureSpec(families=30, species_per_family=1, ood_families=10, train_images=1, size_px=size_px)
    for folder in folders(spec):
        image = render_image(spec, folder, 0)
        assert image.dtype == np.uint8
        assert image.shape == (size_px, size_px, 3)
        assert image.flags.c_contiguous
        assert np.ptp(image) > 50, folder


def test_no_image_comes_twice():
    images = [image for folder in folders(SMALL) for image in render_folder(SMALL, folder).values()]
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    assert len(set(digests)) == len(digests)


def test_an_image_does_not_depend_on_how_many_there_are():
    more = MiniatureSpec(**{**vars(SMALL), "train_images": 9, "val_images": 5})
    for folder in folders(SMALL):
        np.testing.assert_array_equal(render_image(SMALL, folder, 1), render_image(more, folder, 1))


def test_same_bytes_in_other_processes_with_other_hashes_and_threads():
    code = DIGEST.format(path=sys.path)
    digests = set()
    for variant in ("1", "2"):
        settings = {"PYTHONHASHSEED": variant, "OPENBLAS_NUM_THREADS": variant, "OMP_NUM_THREADS": variant}
        run = subprocess.run([sys.executable, "-c", code], env=os.environ | settings, capture_output=True, check=True)
        digests.add(run.stdout)
    assert len(digests) == 1


def test_another_seed_makes_other_images():
    other = MiniatureSpec(**{**vars(SMALL), "seed": 1})
    first, second = next(iter(folders(SMALL))), next(iter(folders(other)))
    assert np.any(render_image(SMALL, first, 0) != render_image(other, second, 0))


def test_unknown_folder_names_the_nearest():
    folder = next(iter(folders(SMALL)))
    with pytest.raises(KeyError, match=f"did you mean '{folder}'"):
        render_image(SMALL, folder + "x", 0)


@pytest.mark.parametrize("index", [-1, 3])
def test_unknown_image_names_the_range(index):
    with pytest.raises(IndexError, match=rf"image {index} of 'train/.*': allowed are 0 to 2"):
        render_image(SMALL, next(iter(folders(SMALL))), index)
