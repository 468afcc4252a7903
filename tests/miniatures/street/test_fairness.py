"""Nothing but its shape and its texture may tell an anomaly from the known objects of the same image."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from scipy.stats import ks_2samp

from miniatures.street import Label, StreetSpec, draw_street, street_folders
from miniatures.street.scene import draw_scene
from miniatures.street.textures import UNSEEN_TEXTURES
from miniatures.street.unseen import DESIGNS

SPEC = StreetSpec(test_images=40, control_images=40)
# With a dozen comparisons of fixed seeds, equal distributions stay above it and a shifted one falls far below.
SMALLEST_P = 1e-3
LUMA = np.array([0.2126, 0.7152, 0.0722])
GROUND = (Label.ROAD, Label.SIDEWALK, Label.ROAD_LINE)


class Statistics(NamedTuple):
    area: float
    brightness: float
    variation: float
    contrast: float
    vividness: float
    row: float


def statistics(street, mask):
    luminance = street.image @ LUMA
    around = binary_dilation(mask, iterations=4) & ~mask
    return Statistics(
        mask.mean(),
        luminance[mask].mean(),
        luminance[mask].std(),
        luminance[mask].mean() - luminance[around].mean(),
        np.ptp(street.image[mask].astype(float), axis=1).mean(),
        np.flatnonzero(mask.any(axis=1)).max(),
    )


def shadow(street, mask):
    """Return how much darker the ground is next to an object than a little further away; NaN without ground."""
    luminance, ground = street.image @ LUMA, np.isin(street.labels, GROUND)
    near = binary_dilation(mask, iterations=2)
    far = binary_dilation(mask, iterations=7) & ~binary_dilation(mask, iterations=4) & ground
    near &= ~mask & ground
    return luminance[far].mean() - luminance[near].mean() if min(near.sum(), far.sum()) > 15 else np.nan


@pytest.fixture(scope="module", params=["test", "control"])
def measured(request):
    """Return areas of the inserted objects, and statistics and shadows of these and of the known ones."""
    areas, numbers, shadows = [], {True: [], False: []}, {True: [], False: []}
    for folder in street_folders(SPEC):
        if folder.startswith(request.param):
            for index in range(SPEC.test_images):
                street = draw_street(SPEC, folder, index)
                areas.append(street.inserted().mean())
                for thing in street.scene.slot_things:
                    mask = street.things == thing
                    if mask.sum() >= 12:
                        numbers[thing == street.scene.inserted].append(statistics(street, mask))
                        shadows[thing == street.scene.inserted].append(shadow(street, mask))
    return areas, {key: np.array(values) for key, values in numbers.items()}, shadows


def test_every_test_image_has_one_of_a_usual_size(measured):
    areas = measured[0]
    assert np.mean(areas) == pytest.approx(0.015, abs=0.008)
    assert np.min(areas) > 0.0005
    assert np.max(areas) < 0.25


@pytest.mark.parametrize("name", Statistics._fields)
def test_inserted_objects_are_measured_like_the_others(measured, name):
    position = Statistics._fields.index(name)
    inserted, others = (measured[1][key][:, position] for key in (True, False))
    assert ks_2samp(inserted, others).pvalue > SMALLEST_P
    if name != "contrast":
        assert np.median(inserted) == pytest.approx(np.median(others), rel=0.25)


def test_inserted_objects_cast_the_same_shadows(measured):
    inserted, others = (np.array(measured[2][key]) for key in (True, False))
    inserted, others = inserted[np.isfinite(inserted)], others[np.isfinite(others)]
    assert np.median(inserted) > 0
    assert ks_2samp(inserted, others).pvalue > SMALLEST_P


def worn(scene):
    return {part.skin.texture for thing in scene.things for part in (*thing.boxes, *thing.discs)}


@lru_cache
def scenes(prefix):
    return [
        draw_scene(SPEC, content, index)
        for folder, content in street_folders(SPEC).items()
        if folder.startswith(prefix)
        for index in range(20)
    ]


def test_unseen_textures_are_on_anomalies_only():
    for prefix in ("train/images/training", "train/images/validation", "control"):
        assert not set().union(*map(worn, scenes(prefix))) & set(UNSEEN_TEXTURES)
    for scene in scenes("test"):
        wearing = {
            thing.label
            for thing in scene.things
            for part in (*thing.boxes, *thing.discs)
            if part.skin.texture in UNSEEN_TEXTURES
        }
        assert wearing <= {Label.ANOMALY}
        assert [thing.label for thing in scene.things].count(Label.ANOMALY) == 1


@pytest.mark.parametrize("towns", [1, 2, 3, 4])
def test_every_town_has_designs_and_textures_of_its_own(towns):
    for names in (list(DESIGNS), UNSEEN_TEXTURES):
        pools = [set(names[number::towns]) for number in range(towns)]
        assert all(pools)
        assert sum(map(len, pools)) == len(set().union(*pools)) == len(names)


def shapes(prefix):
    """Return the forms of cars, pedestrians and anomalies, without skin and place."""
    found = set()
    for scene in scenes(prefix):
        for position in scene.slot_things:
            thing = scene.things[position]
            found.add(tuple(part._replace(skin=None) for part in (*thing.boxes, *thing.discs)))
    return found


def test_no_two_splits_share_a_shape():
    found = [shapes(prefix) for prefix in ("train/images/training", "train/images/validation", "test")]
    assert len(set().union(*found)) == sum(map(len, found))


def test_shapes_of_anomalies_do_not_repeat():
    found = [scene.things[scene.inserted] for scene in scenes("test")]
    forms = {tuple(part._replace(skin=None) for part in (*thing.boxes, *thing.discs)) for thing in found}
    assert len(forms) == len(found)
