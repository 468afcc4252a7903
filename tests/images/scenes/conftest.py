"""Labelled scenes that fit into a test: tiny label PNGs and photographs, laid out as files."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def label_file(tmp_path):
    """Write a label image of these ids, a row of pixels or an array, and return its path."""

    def write(path, ids, mode="L", **options):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(np.atleast_2d(np.asarray(ids, np.uint8)))
        if mode == "P":
            image.putpalette([255 - value // 3 for value in range(768)])
        image.save(place, **options)
        return place

    return write


@pytest.fixture
def photograph(tmp_path):
    """Write a grey photograph of that size, width x height, and return its path."""

    def write(path, width=4, height=1):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (90, 90, 90)).save(place)
        return place

    return write


@pytest.fixture
def lay_out(tmp_path, label_file, photograph):
    """Write whole pairs: (photograph or None, label or None, ids)."""

    def write(*pairs):
        for image, label, ids in pairs:
            row = np.atleast_2d(ids)
            if image:
                photograph(image, row.shape[1], row.shape[0])
            if label:
                label_file(label, row)
        return tmp_path

    return write
