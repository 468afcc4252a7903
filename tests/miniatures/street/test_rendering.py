"""Form of images and annotations, and the same bytes in any order and any process."""

import os
import subprocess
import sys

import numpy as np
import pytest

from miniatures.street import (
    Label,
    StreetSpec,
    draw_street,
    render_inserted,
    render_street,
    street_folders,
)

SPEC = StreetSpec()
KNOWN = set(Label) - {Label.ANOMALY}
DIGEST = """
import hashlib, sys
sys.path[:] = {path!r}
from miniatures.street import StreetSpec, render_street, street_folders
spec = StreetSpec(training_images=3, test_images=3, control_images=3)
pairs = [render_street(spec, folder, 1) for folder in reversed(street_folders(spec))]
parts = [part.tobytes() for pair in reversed(pairs) for part in pair]
print(hashlib.sha256(b"".join(parts)).hexdigest())
"""


def test_ids_are_those_of_street_hazards():
    train_ids = {label.name: label - 1 for label in Label}
    assert list(train_ids.values()) == list(range(14))
    assert (train_ids["BACKGROUND"], train_ids["ROAD"], train_ids["CAR"], train_ids["ANOMALY"]) == (0, 7, 10, 13)


@pytest.mark.parametrize(("height", "width"), [(96, 160), (33, 47), (120, 90)])
def test_form_of_an_image(height, width):
    spec = StreetSpec(height_px=height, width_px=width)
    for folder in street_folders(spec):
        image, labels = render_street(spec, folder, 0)
        assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((height, width), np.uint8)
        assert image.flags.c_contiguous
        assert np.ptp(image) > 80
        assert image.mean() == pytest.approx(115, abs=65)


@pytest.mark.parametrize("folder", [folder for folder in street_folders(SPEC) if folder.startswith("train")])
def test_a_town_shows_every_known_class_and_no_anomaly(folder):
    seen = set()
    for index in range(40):
        seen |= set(np.unique(render_street(SPEC, folder, index)[1]).tolist())
        if seen == KNOWN:
            return
    assert seen == KNOWN


def test_the_inserted_object_is_told_apart_in_the_control():
    for folder, content in street_folders(SPEC).items():
        for index in range(2):
            labels, marked = render_street(SPEC, folder, index)[1], render_inserted(SPEC, folder, index)
            inserted = draw_street(SPEC, folder, index).inserted()
            assert set(np.unique(labels[marked == Label.ANOMALY]).tolist()) <= (
                {Label.CAR, Label.PEDESTRIAN} if content.is_control else {Label.ANOMALY}
            )
            np.testing.assert_array_equal(marked == Label.ANOMALY, inserted)
            np.testing.assert_array_equal(labels[~inserted], marked[~inserted])
            assert inserted.any() == (content.split == "test")


def test_the_control_differs_only_around_the_inserted_object():
    for index in range(4):
        anomaly, known = (draw_street(SPEC, f"{kind}/images/test/t5", index) for kind in ("test", "control"))
        elsewhere = ~(anomaly.inserted() | known.inserted())
        np.testing.assert_array_equal(anomaly.labels[elsewhere], known.labels[elsewhere])
        assert np.mean((anomaly.image == known.image).all(axis=-1)) > 0.6


def test_an_image_does_not_depend_on_how_many_there_are():
    more = StreetSpec(training_images=120, test_images=70, control_images=61, training_towns=3)
    for folder in street_folders(SPEC):
        np.testing.assert_array_equal(render_street(SPEC, folder, 1)[0], render_street(more, folder, 1)[0])


def test_same_bytes_in_other_processes_with_other_hashes_and_threads():
    code = DIGEST.format(path=sys.path)
    digests = set()
    for variant in ("1", "2"):
        settings = {"PYTHONHASHSEED": variant, "OPENBLAS_NUM_THREADS": variant, "OMP_NUM_THREADS": variant}
        run = subprocess.run([sys.executable, "-c", code], env=os.environ | settings, capture_output=True, check=True)
        digests.add(run.stdout)
    assert len(digests) == 1


def test_no_image_comes_twice_and_another_seed_makes_others():
    specs = (SPEC, StreetSpec(seed=1))
    images = [render_street(spec, f, i)[0].tobytes() for spec in specs for f in street_folders(spec) for i in range(2)]
    assert len(set(images)) == len(images)


def test_size_changes_the_resolution_and_not_the_scene():
    large = StreetSpec(height_px=192, width_px=320)
    for folder in list(street_folders(SPEC))[::2]:
        small, fine = render_street(SPEC, folder, 0)[1], render_street(large, folder, 0)[1]
        assert np.mean(small == fine[::2, ::2]) > 0.9
