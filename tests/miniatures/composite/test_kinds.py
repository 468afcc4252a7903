"""Which kinds exist: unseen ones are new only as combinations, and no more colourful than the known ones."""

import numpy as np
import pytest

from miniatures.composite import CompositeSpec, kinds
from miniatures.composite.kinds import evenly_recombined
from miniatures.limbs import LIMBS
from miniatures.patterns import PATTERNS
from miniatures.shapes import BODIES

SPECS = [
    CompositeSpec(),
    CompositeSpec(seed=1),
    CompositeSpec(known_kinds=10, unseen_kinds=10),
    CompositeSpec(known_kinds=40, unseen_kinds=5),
]


@pytest.fixture(params=SPECS, ids=lambda spec: f"{spec.known_kinds}+{spec.unseen_kinds}-seed{spec.seed}")
def spec(request):
    return request.param


def points(some):
    return np.array([kind.traits.point() for kind in some])


def test_counts_and_names(spec):
    known, unseen = kinds(spec)
    assert (len(known), len(unseen)) == (spec.known_kinds, spec.unseen_kinds)
    names = [kind.name for kind in known + unseen]
    assert len(set(names)) == len(names)
    assert all(name.isalpha() and name.islower() for name in names)
    assert [kind.name for kind in known] == sorted(kind.name for kind in known)
    assert [kind.number for kind in known + unseen] == list(range(len(names)))


def test_known_kinds_use_every_body_pattern_and_sort_of_limbs(spec):
    for position, every in enumerate((BODIES, PATTERNS, LIMBS)):
        assert {kind.look[position] for kind in kinds(spec).known} == set(every)


def test_no_two_kinds_share_body_and_pattern(spec):
    combined = [kind.look[:2] for kind in sum(kinds(spec), ())]
    assert len(set(combined)) == len(combined)


def test_every_single_trait_of_the_unseen_is_that_of_a_known_kind(spec):
    known, unseen = kinds(spec)
    for own, others in zip(points(unseen).T, points(known).T, strict=True):
        assert set(own) <= set(others)
    assert not set(map(tuple, points(unseen))) & set(map(tuple, points(known)))


def test_traits_of_the_unseen_are_spread_like_those_of_the_known():
    centres = np.random.default_rng(0).permuted(np.tile(np.arange(12.0)[:, None], (1, 3)), axis=0)
    drawn = evenly_recombined(centres, 4, np.random.default_rng(1))
    # Twelve values in four equal groups of three, and of each group the middle one.
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.tile([[1.0], [4.0], [7.0], [10.0]], (1, 3)))


def test_mean_traits_agree(spec):
    known, unseen = kinds(spec)
    # Traits are in [0, 1]; drawn one by one, six values would differ from their mean by up to 0.25.
    np.testing.assert_allclose(points(unseen).mean(axis=0), points(known).mean(axis=0), atol=0.08)


def test_another_seed_makes_other_kinds():
    first, second = (sum(kinds(CompositeSpec(seed=seed)), ()) for seed in (0, 1))
    assert {kind.name for kind in first} != {kind.name for kind in second}
    assert {kind.look[:2] for kind in first} != {kind.look[:2] for kind in second}
