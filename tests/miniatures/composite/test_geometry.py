"""Perspective, places, and figures that stand where and as large as they should."""

from itertools import chain

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from miniatures.camera import light_direction
from miniatures.composite import CompositeSpec, composite_folders
from miniatures.composite.composing import compose
from miniatures.composite.placing import draw_places
from miniatures.composite.rendering import seen_objects, stood
from miniatures.composite.shadows import on_figure, on_ground
from miniatures.composite.view import View
from miniatures.fields import pixel_grid

SPEC = CompositeSpec()
SIZE = SPEC.size_px
VIEW = View(horizon=1.0, focal=2.0)


def compositions(count):
    return [compose(SPEC, composite_folders(SPEC)["train"], index) for index in range(count)]


@pytest.fixture(scope="module")
def figures():
    return [stood(one, SIZE) for one in compositions(30)]


def test_ground_by_hand():
    # Two half widths below the horizon, the camera sees the ground as far away as the focal length is long.
    x, z = VIEW.ground(np.array([0.5, 0.5]), np.array([-1.0, 0.0]))
    np.testing.assert_allclose(z, [1.0, 2.0])
    np.testing.assert_allclose(x, [0.25, 0.5])
    assert VIEW.depth(-1.0) == 1.0


def test_upright_planes_stand_on_the_ground_and_are_seen_where_they_are():
    z = VIEW.depth(-0.4)
    across, height = VIEW.upright(np.array([0.3, 0.3, 0.3]), np.array([-0.4, 0.3, 1.0]), z)
    # The foot is on the ground, and what is at the horizon is as high as the camera.
    np.testing.assert_allclose(height, [0.0, 0.5, 1.0])
    np.testing.assert_allclose(VIEW.seen(across, height, z), [[0.3] * 3, [-0.4, 0.3, 1.0]])


def test_places_keep_apart_and_are_sorted_by_distance():
    rng = np.random.default_rng(0)
    for _ in range(200):
        places = draw_places(VIEW, rng)
        assert 2 <= len(places) <= 5
        assert [place.y for place in places] == sorted((place.y for place in places), reverse=True)
        assert all(a.gap(b) >= 0.8 for i, a in enumerate(places) for b in places[:i])
        assert all(abs(place.x) + place.radius <= 1.0 or abs(place.x) <= 0.2 for place in places)


def test_nearer_objects_are_larger_in_proportion():
    rng = np.random.default_rng(0)
    drawn = [place for _ in range(300) for place in draw_places(VIEW, rng)]
    # Radius in heights of the camera: the same at any distance, within the spread of sizes.
    true = np.array([place.radius / (VIEW.horizon - place.y) for place in drawn])
    near = np.array([place.y < -0.4 for place in drawn])
    assert np.mean(true) == pytest.approx(0.2, rel=0.03)
    assert np.mean(true[near]) == pytest.approx(np.mean(true[~near]), rel=0.05)


def test_figures_are_as_large_as_their_place_says_whatever_their_kind(figures):
    for figure in chain.from_iterable(figures):
        assert figure.cover.sum() == pytest.approx(np.pi * (figure.place.radius * SIZE / 2) ** 2, rel=0.06)


def test_figures_are_as_bright_as_their_place_says(figures):
    for figure in chain.from_iterable(figures):
        cover, skin = figure.organism.cover, figure.organism.skin
        assert np.average(skin.mean(axis=0), weights=cover) == pytest.approx(figure.place.tone, rel=1e-3)


def test_figures_stand_with_their_foot_on_the_ground_and_within_their_window(figures):
    for figure in chain.from_iterable(figures):
        # What is thinner than a pixel, such as the tip of a leg, is seen in part.
        rows, columns = np.nonzero(figure.cover > 0.5)
        foot = figure.top + rows.max() + 1
        assert foot == pytest.approx((1.0 - figure.place.y) * SIZE / 2, abs=3.0)
        middle = figure.left + (columns.min() + columns.max() + 1) / 2
        assert middle == pytest.approx((figure.place.x + 1.0) * SIZE / 2, abs=3.0)
        for edge in (figure.cover[0], figure.cover[-1], figure.cover[:, 0], figure.cover[:, -1]):
            assert edge.max() == 0.0


def test_objects_are_mostly_seen(figures):
    shares = [
        np.sum(seen_objects(some, SIZE) == number) / figure.cover.sum()
        for some in figures
        for number, figure in enumerate(some)
    ]
    assert np.mean(shares) > 0.85
    assert np.mean(np.array(shares) < 0.3) < 0.03
    # Some are hidden in part.
    assert np.mean(np.array(shares) < 0.9) > 0.1


def test_shadows_fall_where_the_light_says():
    hits = 0
    for composition in compositions(12):
        stage, figure = composition.stage, stood(composition, SIZE)[-1]
        left = on_ground([figure], stage, SIZE)
        assert left.min() > 0.0
        assert left.max() == 1.0
        right, up, towards = light_direction(stage.scene)
        z = stage.view.depth(figure.place.y)
        for row, column in np.argwhere(binary_erosion(figure.cover > 0.99, iterations=2)) + 0.5:
            x, y = (figure.left + column) * 2.0 / SIZE - 1.0, 1.0 - (figure.top + row) * 2.0 / SIZE
            across, height = stage.view.upright(x, y, z)
            # Follow the light through this point of the body straight on until it meets the ground.
            way = height / up
            x, y = stage.view.seen(across - way * right, 0.0, z + way * towards)
            place = (int(np.floor((1.0 - y) * SIZE / 2)), int(np.floor((x + 1.0) * SIZE / 2)))
            if min(place) >= 0 and max(place) < SIZE:
                assert left[place] < 0.7
                hits += 1
    assert hits > 1000


def test_shadows_begin_at_the_foot():
    x, y = pixel_grid(SIZE)
    for composition in compositions(12):
        figure = stood(composition, SIZE)[-1]
        left = on_ground([figure], composition.stage, SIZE)
        foot = (np.abs(x - figure.place.x) < 0.03) & (np.abs(y - figure.place.y) < 0.03)
        assert left[foot].max() < 0.75


def test_nothing_shades_the_nearest_figure_and_nearer_ones_shade_the_others():
    shaded = []
    for composition in compositions(30):
        figures = stood(composition, SIZE)
        stage = composition.stage
        assert np.all(on_figure(figures[-1], figures[:-1], stage, SIZE) == 1.0)
        shaded += [on_figure(one, figures[i + 1 :], stage, SIZE).min() for i, one in enumerate(figures[:-1])]
    assert 0.05 < np.mean(np.array(shaded) < 0.7) < 0.95
