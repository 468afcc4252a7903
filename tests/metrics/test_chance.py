"""The bound keeps out what knows nothing, nearly always."""

import numpy as np

from scaling_ood.metrics.chance import chance_bound


def test_of_networks_that_guess_about_one_in_a_thousand_is_above_the_bound() -> None:
    random = np.random.default_rng(0)
    for level, images in ((0.001, 1000), (0.1, 400), (0.5, 200)):
        values = random.binomial(images, level, size=20_000) / images
        assert (values > chance_bound(level, images)).mean() < 0.002


def test_more_images_bring_it_nearer_to_the_level() -> None:
    assert 0.1 < chance_bound(0.1, 10_000) < chance_bound(0.1, 100) <= 0.2
