"""Form of the images, and the same bytes in any order and any process."""

import os
import subprocess
import sys

import numpy as np
import pytest

from miniatures.composite import (
    CompositeSpec,
    composite_folders,
    draw_composite,
    kinds,
    render_composites,
)

SMALL = CompositeSpec(train_images=3, val_images=2, ood_images=2, control_images=2, size_px=48)
DIGEST = """
import hashlib, sys
sys.path[:] = {path!r}
from miniatures.composite import CompositeSpec, composite_folders, draw_composite
spec = CompositeSpec(train_images=2, size_px=48)
images = [draw_composite(spec, folder, 1).image for folder in reversed(composite_folders(spec))]
print(hashlib.sha256(b"".join(image.tobytes() for image in reversed(images))).hexdigest())
"""


@pytest.mark.parametrize("size_px", [32, 49, 50, 96])
def test_form_of_an_image(size_px):
    spec = CompositeSpec(size_px=size_px)
    for folder in composite_folders(spec):
        composite = draw_composite(spec, folder, 0)
        assert (composite.image.shape, composite.image.dtype) == ((size_px, size_px, 3), np.uint8)
        assert composite.image.flags.c_contiguous
        assert np.ptp(composite.image) > 80
        assert composite.image.mean() == pytest.approx(115, abs=75)
        assert composite.objects.shape == (size_px, size_px)
        assert set(np.unique(composite.objects)) <= set(range(-1, len(composite.composition.kinds)))


def test_what_a_folder_shows():
    known, unseen = ({kind.name for kind in some} for some in kinds(SMALL))
    for folder, content in composite_folders(SMALL).items():
        for index in range(content.images):
            shown = {kind.name for kind in draw_composite(SMALL, folder, index).composition.kinds}
            assert shown <= (unseen if content.part == "ood" else known)
            assert content.kind is None or content.kind.name in shown


def test_files_of_a_folder():
    for folder, content in list(composite_folders(SMALL).items())[:3]:
        files = render_composites(SMALL, folder)
        assert list(files) == [content.image_name(index) for index in range(content.images)]
        for index, image in enumerate(files.values()):
            np.testing.assert_array_equal(image, draw_composite(SMALL, folder, index).image)


def test_an_image_does_not_depend_on_how_many_there_are():
    more = CompositeSpec(**{**vars(SMALL), "train_images": 9, "val_images": 5, "ood_images": 4, "control_images": 7})
    for folder in composite_folders(SMALL):
        np.testing.assert_array_equal(draw_composite(SMALL, folder, 1).image, draw_composite(more, folder, 1).image)


def test_same_bytes_in_other_processes_with_other_hashes_and_threads():
    code = DIGEST.format(path=sys.path)
    digests = set()
    for variant in ("1", "2"):
        settings = {"PYTHONHASHSEED": variant, "OPENBLAS_NUM_THREADS": variant, "OMP_NUM_THREADS": variant}
        run = subprocess.run([sys.executable, "-c", code], env=os.environ | settings, capture_output=True, check=True)
        digests.add(run.stdout)
    assert len(digests) == 1


def test_no_image_comes_twice_and_another_seed_makes_others():
    specs = (SMALL, CompositeSpec(**{**vars(SMALL), "seed": 1}))
    images = [
        image.tobytes()
        for spec in specs
        for f in composite_folders(spec)
        for image in render_composites(spec, f).values()
    ]
    assert len(set(images)) == len(images)


def test_no_individual_comes_twice():
    seen = [
        one
        for folder, content in composite_folders(SMALL).items()
        for index in range(content.images)
        for one in draw_composite(SMALL, folder, index).composition.individuals
    ]
    assert len({(one.traits, one.phase) for one in seen}) == len(seen)


def test_size_changes_the_resolution_and_not_the_scene():
    for folder in ("train", "val"):
        large = draw_composite(CompositeSpec(**{**vars(SMALL), "size_px": 96}), folder, 0)
        small = draw_composite(SMALL, folder, 0)
        assert large.composition == small.composition
        agreement = np.mean(large.objects[::2, ::2] == small.objects)
        assert agreement > 0.95
