"""Who exists: names, counts, and unseen families that are new only as combinations."""

from itertools import combinations

import numpy as np
import pytest

from miniatures import MiniatureSpec, family_of, taxonomy
from miniatures.traits import SPECIES_GAP, TRAITS, VISIBILITY

SPECS = [
    MiniatureSpec(),
    MiniatureSpec(seed=1),
    MiniatureSpec(families=2, ood_families=2, supercategories=2, species_per_family=1),
    MiniatureSpec(families=9, ood_families=5, supercategories=3, species_per_family=8),
    MiniatureSpec(families=79, ood_families=1, supercategories=1),
]


@pytest.fixture(params=SPECS, ids=lambda spec: f"{spec.families}+{spec.ood_families}-seed{spec.seed}")
def spec(request):
    return request.param


def looks(species):
    return {one.family: (one.body, one.pattern) for one in species}


def points(species):
    return np.array([one.traits.point() for one in species])


def test_counts_and_names(spec):
    known, unseen = taxonomy(spec).in_dist, taxonomy(spec).ood
    assert len(known) == spec.families * spec.species_per_family
    assert len(unseen) == spec.ood_families * spec.species_per_family
    names = [one.name for one in known + unseen]
    assert len(set(names)) == len(names)
    assert all(name.count("_") == 1 and name.replace("_", "").isalpha() and name.islower() for name in names)
    assert all(family_of(one.name) == one.family for one in known + unseen)
    assert len({one.family for one in known + unseen}) == spec.families + spec.ood_families
    assert [one.number for one in known + unseen] == list(range(len(names)))


def test_supercategories_are_for_the_unseen_and_of_equal_size(spec):
    assert all(one.supercategory is None for one in taxonomy(spec).in_dist)
    families = {one.family: one.supercategory for one in taxonomy(spec).ood}
    sizes = [list(families.values()).count(place) for place in set(families.values())]
    assert len(sizes) == spec.supercategories
    assert max(sizes) - min(sizes) <= 1


def test_no_two_families_share_a_combination(spec):
    combined = [*looks(taxonomy(spec).in_dist).values(), *looks(taxonomy(spec).ood).values()]
    assert len(set(combined)) == len(combined)


def test_every_single_trait_of_the_unseen_is_known(spec):
    known, unseen = taxonomy(spec).in_dist, taxonomy(spec).ood
    for trait in ("body", "pattern", "limbs"):
        assert {getattr(one, trait) for one in unseen} <= {getattr(one, trait) for one in known}
    assert np.all(points(unseen) >= points(known).min(axis=0))
    assert np.all(points(unseen) <= points(known).max(axis=0))


def test_bodies_and_patterns_are_evenly_used():
    known = looks(taxonomy(MiniatureSpec()).in_dist).values()
    for position, allowed in ((0, {4}), (1, {4, 5, 6})):
        used = [look[position] for look in known]
        assert {used.count(kind) for kind in set(used)} <= allowed


def test_species_of_a_family_are_equally_far_apart():
    known = taxonomy(MiniatureSpec()).in_dist
    distances = []
    for first, second in combinations(known, 2):
        if first.family == second.family:
            step = first.traits.point() - second.traits.point()
            step[TRAITS.index("hue")] = (step[TRAITS.index("hue")] + 0.5) % 1.0 - 0.5
            distances.append(np.linalg.norm(step / VISIBILITY))
    # Only a point that would have left the unit interval is nearer.
    assert np.max(distances) == pytest.approx(SPECIES_GAP)
    assert np.quantile(distances, 0.1) == pytest.approx(SPECIES_GAP)
    assert np.min(distances) > 0.9 * SPECIES_GAP


def test_another_seed_makes_another_taxonomy():
    first, second = taxonomy(MiniatureSpec()), taxonomy(MiniatureSpec(seed=1))
    assert {one.name for one in first.in_dist} != {one.name for one in second.in_dist}
    assert set(looks(first.in_dist).values()) != set(looks(second.in_dist).values())
