"""The three noise sets: their distributions, their ranges, and chance that hangs on the index alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import kstest, norm

from scaling_ood.images import Loading, Noise, NoiseImages, Preprocessing
from scaling_ood.images.noise import RECIPES, to_pixels

SIZE = 64
SETS = [Noise(recipe) for recipe in RECIPES]
HALF = Preprocessing(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3)


def images(noise, count=20, size=SIZE):
    return np.stack([noise.image(index, size) for index in range(count)])


@pytest.mark.parametrize("noise", SETS, ids=lambda noise: noise.recipe)
def test_form_and_range(noise):
    image = noise.image(3, 33)
    assert image.shape == (33, 33, 3)
    assert image.dtype == np.float32
    assert np.abs(image).max() <= 1


@pytest.mark.parametrize("noise", SETS, ids=lambda noise: noise.recipe)
def test_an_image_depends_on_its_index_alone(noise):
    forwards = [noise.image(index, 16) for index in range(6)]
    backwards = [noise.image(index, 16) for index in reversed(range(6))]
    np.testing.assert_array_equal(forwards, backwards[::-1])
    assert len({image.tobytes() for image in forwards}) == 6


@pytest.mark.parametrize("noise", SETS, ids=lambda noise: noise.recipe)
def test_another_seed_makes_other_images(noise):
    assert np.any(noise.image(0, 16) != replace(noise, seed=1).image(0, 16))


def test_seed_and_index_are_not_interchangeable():
    assert np.any(Noise("gaussian", seed=1).image(0, 16) != Noise("gaussian", seed=0).image(1, 16))


def test_gaussian_is_a_clipped_normal():
    values = images(Noise("gaussian")).ravel()
    inside = values[np.abs(values) < 1]
    share = math.erf(2 / math.sqrt(2))  # within two standard deviations of 0.5
    assert inside.size / values.size == pytest.approx(share, abs=0.002)
    assert set(np.unique(values[np.abs(values) >= 1])) == {-1.0, 1.0}
    cdf = norm(scale=0.5).cdf
    assert kstest(inside[::10], lambda x: (cdf(x) - cdf(-1)) / share).pvalue > 1e-3
    # Variance of N(0, 1) clipped at 2 is 0.9205; half the scale makes a quarter of it.
    assert values.var() == pytest.approx(0.9205 / 4, abs=0.003)
    assert values.mean() == pytest.approx(0, abs=0.005)


def test_rademacher_is_an_even_choice_of_two():
    values = images(Noise("rademacher"))
    assert set(np.unique(values)) == {-1.0, 1.0}
    assert values.mean() == pytest.approx(0, abs=4 / math.sqrt(values.size))
    # Pixels and channels are drawn one by one.
    neighbours = [
        values[:, 1:] * values[:, :-1],
        values[:, :, 1:] * values[:, :, :-1],
        values[..., 1:] * values[..., :-1],
    ]
    for products in neighbours:
        assert products.mean() == pytest.approx(0, abs=4 / math.sqrt(products.size))


def test_blobs_follow_the_recipe():
    """Against the recipe written another way: separable blurs, one axis after the other."""
    noise = Noise("blobs", sigma=2.0)
    reference = []

    class Recorder:
        """Stands in for the generator, to see the Bernoulli pixels that go into the blur."""

        def binomial(self, n, p, shape):
            reference.append(np.random.default_rng(7).binomial(n, p, shape))
            assert (n, p) == (1, 0.7)
            return reference[0]

    image = RECIPES["blobs"](noise, Recorder(), (SIZE, SIZE, 3))
    blurred = reference[0].astype(np.float64)
    for axis in range(3):
        blurred = ndimage.gaussian_filter1d(blurred, 2.0, axis, mode="nearest")
    expected = 2 * np.where(blurred < 0.75, 0, blurred) - 1
    certain = np.abs(blurred - 0.75) > 1e-5  # next to the threshold, rounding decides
    np.testing.assert_allclose(image[certain], expected[certain], atol=1e-5)
    assert certain.mean() > 0.99


def test_blobs_are_empty_or_above_the_threshold():
    values = images(Noise("blobs", sigma=1.5), size=32)
    empty = values == -1
    assert 0.05 < empty.mean() < 0.95
    assert values[~empty].min() >= 2 * 0.75 - 1 - 1e-6


def test_blobs_keep_neighbours_alike_and_sigma_says_how_far():
    def roughness(sigma):
        values = images(Noise("blobs", sigma=sigma), count=4)
        return np.mean((values[:, 1:] == -1) != (values[:, :-1] == -1))

    assert roughness(4.0) < roughness(2.0) < roughness(1.0) < 0.5


def test_blobs_blur_across_channels_only_if_told():
    def grey(blur_channels):
        image = Noise("blobs", sigma=2.0, blur_channels=blur_channels).image(0, SIZE) > -1
        return np.mean(image[..., 0] == image[..., 2])

    assert grey(True) > grey(False) + 0.1


def test_blobs_border_changes_the_border_only():
    # The channel axis has borders too: without a blur across it, the middle stays.
    nearest, wrapped = (
        Noise("blobs", sigma=2.0, border=border, blur_channels=False).image(0, SIZE) for border in ("nearest", "wrap")
    )
    assert np.any(nearest != wrapped)
    np.testing.assert_array_equal(nearest[8:-8, 8:-8], wrapped[8:-8, 8:-8])


@pytest.mark.parametrize("option", [{"sigma": 1.0}, {"border": "wrap"}, {"blur_channels": False}])
def test_blobs_options_change_nothing_else(option):
    for recipe in ("gaussian", "rademacher"):
        np.testing.assert_array_equal(Noise(recipe).image(0, 16), Noise(recipe, **option).image(0, 16))


def test_pixels_run_from_zero_to_one():
    given = np.array([-1, -0.5, 0, 1], np.float32)
    pixels = to_pixels(given)
    assert pixels.tolist() == [0, 0.25, 0.5, 1]
    assert pixels.dtype == np.float32


def test_noise_range_says_what_the_values_are():
    """Pixels pass through the model's normalisation and tensors do not; with mean = std = 0.5 both end up the same."""
    pixel, tensor = (
        NoiseImages(Noise("gaussian", noise_range=noise_range), [4], HALF)[0] for noise_range in ("pixel", "tensor")
    )
    assert pixel.shape == tensor.shape == (3, 32, 32)
    assert 0 <= pixel.min() < pixel.max() <= 1
    assert tensor.min() < 0
    np.testing.assert_array_equal(tensor.numpy(), Noise("gaussian").image(4, 32).transpose(2, 0, 1))
    np.testing.assert_allclose(HALF.normalise(pixel[None])[0], tensor, atol=1e-6)


def test_batch_size_and_workers_change_nothing():
    source = NoiseImages(Noise("blobs", sigma=2.0), [5, 3, 9, 0, 12], HALF)
    whole, parted = (
        np.concatenate([batch.numpy() for batch in Loading(size, workers).batches(source, pin_memory=False)])
        for size, workers in ((5, 0), (2, 2))
    )
    np.testing.assert_array_equal(whole, parted)
    np.testing.assert_array_equal(whole[1], source[1])
