"""Nothing but the combination of traits may tell an unseen species from a known one."""

from dataclasses import fields

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from miniatures import MiniatureSpec, draw_image, folders, render_image
from miniatures.backgrounds import BACKGROUNDS
from miniatures.scene import Scene
from miniatures.traits import TRAITS

SPEC = MiniatureSpec(train_images=1, val_images=20, ood_images=50)
# With some thirty comparisons of fixed seeds, equal distributions stay above it and a shifted one falls far below.
SMALLEST_P = 1e-3


def of(split):
    return [folder for folder, content in folders(SPEC).items() if content.split == split]


@pytest.fixture(scope="module")
def drawn():
    """Return what chance gave to each image of the in-distribution test and of the OOD set."""
    images = {"val": SPEC.val_images, "ood": SPEC.ood_images}
    return {
        split: [draw_image(SPEC, folder, index) for folder in of(split) for index in range(count)]
        for split, count in images.items()
    }


@pytest.mark.parametrize("name", [field.name for field in fields(Scene) if field.name != "background"])
def test_scenes_come_from_one_distribution(drawn, name):
    known, unseen = ([getattr(scene, name) for scene, _, _ in drawn[split]] for split in ("val", "ood"))
    assert ks_2samp(known, unseen).pvalue > SMALLEST_P


def test_backgrounds_are_equally_frequent(drawn):
    shown = {split: [scene.background for scene, _, _ in drawn[split]] for split in drawn}
    counts = [[kinds.count(kind) for kind in BACKGROUNDS] for kinds in shown.values()]
    assert np.min(counts) > 0
    assert chi2_contingency(counts).pvalue > SMALLEST_P


def test_pattern_phases_come_from_one_distribution(drawn):
    assert ks_2samp(*([phase for _, _, phase in drawn[split]] for split in drawn)).pvalue > SMALLEST_P


def test_individuals_stay_within_the_known_range_of_every_trait(drawn):
    known, unseen = (np.array([traits.point() for _, traits, _ in drawn[split]]) for split in ("val", "ood"))
    low, high = np.quantile(known, (0.0, 1.0), axis=0)
    outside = np.mean((unseen < low) | (unseen > high), axis=0)
    assert dict(zip(TRAITS, outside, strict=True)) == pytest.approx(dict.fromkeys(TRAITS, 0.0), abs=0.005)


def test_image_borders_look_the_same():
    """The outermost pixels show background and camera only: brightness, colour and grain must not differ."""
    statistics = {split: [] for split in ("val", "ood")}
    for split, per_folder in (("val", 2), ("ood", 5)):
        for folder in of(split):
            for index in range(per_folder):
                corners = render_image(SPEC, folder, index)[[0, 1, -2, -1]][:, [0, 1, -2, -1]].astype(float)
                statistics[split].append([*corners.mean(axis=(0, 1)), corners.std()])
    for known, unseen in zip(*(np.transpose(values) for values in statistics.values()), strict=True):
        assert ks_2samp(known, unseen).pvalue > SMALLEST_P


def test_spread_scales_the_individuals():
    folder = of("val")[0]

    def scatter(spread):
        spec = MiniatureSpec(spread=spread)
        return np.ptp([draw_image(spec, folder, index)[1].point()[1:] for index in range(20)], axis=0)

    np.testing.assert_array_equal(scatter(0.0), 0.0)
    np.testing.assert_allclose(scatter(0.02), 2 * scatter(0.01))
