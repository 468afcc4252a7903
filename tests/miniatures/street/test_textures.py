"""Textures and noise stay in range, and every one of them has two colours."""

import numpy as np
import pytest

from miniatures.street.textures import TEXTURES, grains


@pytest.fixture(scope="module")
def plane():
    x, y = np.meshgrid(np.linspace(-5, 5, 200, dtype=np.float32), np.linspace(0, 6, 150, dtype=np.float32))
    return x.ravel(), y.ravel(), np.full(x.size, 0.3, np.float32)


@pytest.mark.parametrize("name", TEXTURES)
def test_share_of_the_second_colour(plane, name):
    share = np.asarray(TEXTURES[name](*plane), float)
    assert np.isfinite(share).all()
    assert share.min() >= 0
    assert share.max() <= 1
    assert (np.ptp(share) > 0.5) == (name != "plain")


def test_noise_is_centred_constant_on_cells_and_repeats():
    x, y = np.meshgrid(np.arange(-64.0, 64.0), np.arange(-64.0, 64.0))
    noise = grains(x, y)
    assert abs(noise.mean()) < 0.1
    assert noise.std() == pytest.approx(1, abs=0.35)
    np.testing.assert_array_equal(noise, grains(x + 0.9, y + 0.9))
    np.testing.assert_array_equal(noise, grains(x + 128, y - 128))
    assert np.mean(noise[:, 1:] == noise[:, :-1]) < 0.01
