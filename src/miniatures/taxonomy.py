"""The invented taxonomy: which families and species exist, what they are called and what they look like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from miniatures.limbs import LIMBS
from miniatures.naming import EPITHETS, SUPERCATEGORIES, family_names
from miniatures.patterns import PATTERNS
from miniatures.shapes import BODIES
from miniatures.spec import MiniatureSpec
from miniatures.traits import Point, Traits, family_centres, recombined_centres, species_points, traits_at

_TAXONOMY_STREAM = 0


@dataclass(frozen=True)
class Species:
    """One class.

    Attributes:
        name: Class folder name, `<family>_<epithet>`.
        family: Family name, unique in the whole taxonomy.
        supercategory: Folder above the class, for OOD species; None in-distribution.
        number: Position in the taxonomy, which seeds the species' images.
        body: Key of `BODIES`.
        pattern: Key of `PATTERNS`.
        limbs: Key of `LIMBS`.
        traits: Where the species lies in trait space.
    """

    name: str
    family: str
    supercategory: str | None
    number: int
    body: str
    pattern: str
    limbs: str
    traits: Traits


@dataclass(frozen=True)
class Taxonomy:
    """All species.

    Attributes:
        in_dist: In-distribution species, families one after the other.
        ood: Species of unseen families, sorted by supercategory.
    """

    in_dist: tuple[Species, ...]
    ood: tuple[Species, ...]


@lru_cache(maxsize=8)
def taxonomy(spec: MiniatureSpec) -> Taxonomy:
    """Invent the taxonomy of a spec.

    Every body plan and every pattern occurs in-distribution, each about equally often; a family is one combination
    of the two. OOD families take combinations that no in-distribution family has, with trait values that some have.

    Args:
        spec: Sizes and seed.

    Returns:
        The same taxonomy for the same spec.
    """
    rng = np.random.default_rng([spec.seed, _TAXONOMY_STREAM])
    names = family_names(spec.families + spec.ood_families, rng)
    looks = _looks(spec, rng)
    centres = family_centres(spec.families, rng)
    unseen = recombined_centres(centres, spec.ood_families, rng)
    by_body = sorted(range(spec.ood_families), key=lambda i: (list(BODIES).index(looks[spec.families + i][0]), i))
    groups = {family: rank * spec.supercategories // spec.ood_families for rank, family in enumerate(by_body)}

    in_dist: list[Species] = []
    for i in range(spec.families):
        points = species_points(centres[i], spec.species_per_family, limbs=looks[i][2] != "none", rng=rng)
        in_dist += _family(names[i], None, looks[i], points, rng)
    ood: list[Species] = []
    ranges = _ranges(in_dist)
    for i in by_body:
        name, look = names[spec.families + i], looks[spec.families + i]
        points = species_points(unseen[i], spec.species_per_family, limbs=look[2] != "none", rng=rng)
        ood += _family(name, SUPERCATEGORIES[groups[i]], look, np.clip(points, *ranges), rng)
    numbered = [replace(species, number=number) for number, species in enumerate(in_dist + ood)]
    return Taxonomy(tuple(numbered[: len(in_dist)]), tuple(numbered[len(in_dist) :]))


def _looks(spec: MiniatureSpec, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Return body, pattern and limbs of every family, in-distribution families first."""
    rows, columns = spec.grid()
    bodies, patterns = rng.permutation(list(BODIES))[:rows], rng.permutation(list(PATTERNS))[:columns]
    # Along the diagonals of the grid every body and every pattern comes up before any combination is left over for OOD.
    cells = [(i, (i + shift) % columns) for shift in range(columns) for i in range(rows)]
    used = cells[: spec.families + spec.ood_families]
    kinds = list(LIMBS)[: min(len(LIMBS), spec.families)]
    limbs = [kinds[i % len(kinds)] for i in rng.permutation(spec.families)]
    limbs += [limbs[i] for i in rng.integers(spec.families, size=spec.ood_families)]
    return [(str(bodies[i]), str(patterns[j]), kind) for (i, j), kind in zip(used, limbs, strict=True)]


def _family(
    name: str, supercategory: str | None, look: tuple[str, str, str], points: Point, rng: np.random.Generator
) -> list[Species]:
    epithets = rng.permutation(list(EPITHETS))[: len(points)]
    return [
        Species(f"{name}_{epithet}", name, supercategory, 0, *look, traits_at(point))
        for epithet, point in zip(epithets, points, strict=True)
    ]


def _ranges(species: list[Species]) -> tuple[Point, Point]:
    """Return the lowest and the highest value of every trait, `(len(TRAITS),)` each."""
    points = np.array([one.traits.point() for one in species])
    return points.min(axis=0), points.max(axis=0)
