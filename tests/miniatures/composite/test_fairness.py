"""Nothing but the kinds of the objects may tell an OOD scene, or a control scene, from one of the test."""

from collections import Counter
from dataclasses import fields
from itertools import islice

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from miniatures.composite import CompositeSpec, composite_folders, draw_composite
from miniatures.composite.composing import compose
from miniatures.composite.placing import Place
from miniatures.composite.stage import BACKDROPS, GROUNDS
from miniatures.scene import Scene
from miniatures.traits import TRAITS

SPEC = CompositeSpec()
PARTS = ("train", "val", "ood", "control")
OTHERS = [part for part in PARTS if part != "val"]
# With some hundred comparisons of fixed seeds, equal distributions stay above it and a shifted one falls far below.
SMALLEST_P = 1e-3
COMPOSED, RENDERED = 280, 126
LUMA = np.array([0.2126, 0.7152, 0.0722])


def taken(part, most):
    """Return folder and index of about `most` images, equally many of each folder."""
    listed = {name: one for name, one in composite_folders(SPEC).items() if one.part == part}
    rounds = -(-most // len(listed))
    return list(islice(((name, i) for i in range(rounds) for name in listed), most))


@pytest.fixture(scope="module")
def composed():
    """Return what chance gave to each image."""
    folders = composite_folders(SPEC)
    return {part: [compose(SPEC, folders[name], i) for name, i in taken(part, COMPOSED)] for part in PARTS}


@pytest.fixture(scope="module")
def rendered():
    """Return the images, with where their objects are."""
    return {part: [draw_composite(SPEC, name, i) for name, i in taken(part, RENDERED)] for part in PARTS}


@pytest.mark.parametrize("part", OTHERS)
@pytest.mark.parametrize("name", [field.name for field in fields(Scene) if field.name != "background"])
def test_scenes_come_from_one_distribution(composed, part, name):
    own, tested = ([getattr(one.stage.scene, name) for one in composed[which]] for which in (part, "val"))
    assert ks_2samp(own, tested).pvalue > SMALLEST_P


@pytest.mark.parametrize("part", OTHERS)
@pytest.mark.parametrize("name", ["horizon", "focal"])
def test_cameras_come_from_one_distribution(composed, part, name):
    own, tested = ([getattr(one.stage.view, name) for one in composed[which]] for which in (part, "val"))
    assert ks_2samp(own, tested).pvalue > SMALLEST_P


@pytest.mark.parametrize("part", OTHERS)
@pytest.mark.parametrize("name", Place._fields)
def test_places_come_from_one_distribution(composed, part, name):
    own, tested = (
        [getattr(place, name) for one in composed[which] for place in one.stage.places] for which in (part, "val")
    )
    assert ks_2samp(own, tested).pvalue > SMALLEST_P


def groups(one):
    """Return how many objects there are of each kind, the most frequent kind first."""
    return tuple(sorted(Counter(kind.number for kind in one.kinds).values(), reverse=True))


@pytest.mark.parametrize("part", OTHERS)
@pytest.mark.parametrize(
    "tell",
    [
        lambda one: len(one.kinds),
        lambda one: len(groups(one)),
        lambda one: GROUNDS.index(one.stage.scene.background),
        lambda one: BACKDROPS.index(one.stage.backdrop),
    ],
    ids=["objects", "kinds", "ground", "backdrop"],
)
def test_counts_are_equally_frequent(composed, part, tell):
    counts = [Counter(map(tell, composed[which])) for which in (part, "val")]
    values = sorted(counts[0] | counts[1])
    table = [[count[value] for value in values] for count in counts]
    assert chi2_contingency(table).pvalue > SMALLEST_P


def test_every_number_of_objects_is_shown_and_some_kinds_twice(composed):
    for part in PARTS:
        assert {len(one.kinds) for one in composed[part]} == {2, 3, 4, 5}
        assert 0.2 < np.mean([max(groups(one)) > 1 for one in composed[part]]) < 0.6


@pytest.mark.parametrize("part", ["ood", "control"])
def test_kinds_of_a_pool_are_equally_frequent(composed, part):
    counts = Counter(kind.number for one in composed[part] for kind in one.kinds)
    assert len(counts) == (SPEC.unseen_kinds if part == "ood" else SPEC.known_kinds)
    expected = sum(counts.values()) / len(counts)
    # Poisson: the standard deviation is the root.
    assert max(abs(count - expected) for count in counts.values()) < 4.0 * expected**0.5


def test_individuals_stay_within_the_known_range_of_every_trait(composed):
    known, unseen = (
        np.array([one.traits.point() for image in composed[part] for one in image.individuals])
        for part in ("train", "ood")
    )
    outside = np.mean((unseen < known.min(axis=0)) | (unseen > known.max(axis=0)), axis=0)
    assert dict(zip(TRAITS, outside, strict=True)) == pytest.approx(dict.fromkeys(TRAITS, 0.0), abs=0.005)


def whole(composite):
    luminance = composite.image @ LUMA
    return {"brightness": luminance.mean(), "contrast": luminance.std(), "covered": np.mean(composite.objects >= 0)}


def inside(composite):
    mask = composite.objects >= 0
    luminance, pixels = (composite.image @ LUMA)[mask], composite.image[mask].astype(float)
    return {
        "brightness": luminance.mean(),
        "contrast": luminance.std(),
        "colour": np.ptp(pixels, axis=1).mean(),
        "seen": len(np.unique(composite.objects[mask])),
    }


@pytest.mark.parametrize("part", OTHERS)
@pytest.mark.parametrize("measure", [whole, inside])
def test_images_are_measured_alike(rendered, part, measure):
    own, tested = ([measure(one) for one in rendered[which]] for which in (part, "val"))
    for name in own[0]:
        values = [[one[name] for one in some] for some in (own, tested)]
        assert ks_2samp(*values).pvalue > SMALLEST_P, name
        assert np.mean(values[0]) == pytest.approx(np.mean(values[1]), rel=0.12), name


@pytest.mark.parametrize("part", OTHERS)
def test_surroundings_look_the_same(rendered, part):
    statistics = {
        which: np.array([
            [*one.image[one.objects < 0].mean(axis=0), one.image[one.objects < 0].std()] for one in rendered[which]
        ])
        for which in (part, "val")
    }  # fmt: skip
    for own, tested in zip(*(values.T for values in statistics.values()), strict=True):
        assert ks_2samp(own, tested).pvalue > SMALLEST_P
