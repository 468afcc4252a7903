"""Photographs that fit into a test: smooth pictures with some grain, as files."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def make_picture():
    """Build a picture of that size, width x height, in any of Pillow's modes."""

    def make(width, height, mode="RGB", seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[0:height, 0:width]
        waves = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], axis=-1)
        pixels = np.clip(127 + 90 * waves + rng.normal(0, 20, (height, width, 3)), 0, 255)
        return Image.fromarray(pixels.astype(np.uint8)).convert(mode)

    return make


@pytest.fixture
def make_tree(tmp_path):
    """Lay out empty files by their relative paths; a path that ends with a slash is a folder."""

    def make(*paths):
        for path in paths:
            place = tmp_path / path
            (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                place.touch()
        return tmp_path

    return make
