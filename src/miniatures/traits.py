"""The continuous traits: what a species is a point of, and how its individuals scatter around it."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

Point = NDArray[np.float64]
"""A point of trait space, `(len(TRAITS),)`, every coordinate in [0, 1]."""

SPECIES_GAP = 0.55
"""Distance between any two species of a family, in trait units (see `VISIBILITY`)."""

DIAGNOSTIC_TRAITS = 5
"""Traits in which the species of one family differ; which ones, differs from family to family."""

_CENTRE_RANGE = (0.25, 0.75)
_LIMB_TRAITS = ("limb_count", "limb_length")
_MAX_DEVIATION = 2.5


@dataclass(frozen=True)
class Traits:
    """Trait values in [0, 1]; shapes, patterns and skins map them to lengths, angles and colours.

    Attributes:
        hue: Hue of the ground colour; 0 and 1 are both red.
        saturation: Dull to vivid.
        value: Dark to light ground colour.
        accent_hue: Hue of the second colour, relative to the first.
        accent_value: Second colour, dark (0) or light (1).
        contrast: How much of the second colour the pattern shows.
        frequency: Coarse to fine pattern.
        duty: Share of the skin that the pattern covers.
        orientation: Direction of the pattern on the body.
        gloss: Matt to shiny.
        elongation: Wide to long.
        form: The body plan's own parameter, such as the depth of a star's lobes.
        limb_count: Few to many appendages.
        limb_length: Short to long appendages.
    """

    hue: float
    saturation: float
    value: float
    accent_hue: float
    accent_value: float
    contrast: float
    frequency: float
    duty: float
    orientation: float
    gloss: float
    elongation: float
    form: float
    limb_count: float
    limb_length: float

    def point(self) -> Point:
        """Return the values in the order of `TRAITS`."""
        return np.array(astuple(self))


TRAITS: tuple[str, ...] = tuple(field.name for field in fields(Traits))

VISIBILITY = np.array([{"hue": 0.3, "value": 0.6, "accent_value": 0.3, "gloss": 0.7}.get(name, 1.0) for name in TRAITS])
"""Change of each trait that counts as one unit: what the eye sees well is given smaller steps."""

_DIAGNOSTIC = np.array([name not in ("accent_value", "gloss", "duty") for name in TRAITS])


def traits_at(point: Point) -> Traits:
    """Return a point of trait space with its names; hue wraps around, the others are clipped to [0, 1]."""
    hue = float(point[0]) % 1.0
    return Traits(hue, *(float(value) for value in np.clip(point[1:], 0.0, 1.0)))


def family_centres(count: int, rng: np.random.Generator) -> Point:
    """Draw the centres of the in-distribution families.

    Args:
        count: Number of families.
        rng: Source of chance.

    Returns:
        `(count, len(TRAITS))`. Hues are evenly spaced around the circle; the second colour is clearly dark or clearly
        light; the others leave room for the species on both sides.
    """
    centres = rng.uniform(*_CENTRE_RANGE, (count, len(TRAITS)))
    centres[:, TRAITS.index("hue")] = (rng.permutation(count) + rng.uniform(0.2, 0.8, count)) / count
    light = rng.permutation(count) % 2
    centres[:, TRAITS.index("accent_value")] = 0.78 * light + rng.uniform(0.06, 0.16, count)
    return centres


def recombined_centres(centres: Point, count: int, rng: np.random.Generator) -> Point:
    """Draw the centres of unseen families: every single value is that of some in-distribution family.

    Args:
        centres: `(families, len(TRAITS))`.
        count: Number of unseen families.
        rng: Source of chance.

    Returns:
        `(count, len(TRAITS))`.
    """
    donors = rng.integers(len(centres), size=(count, len(TRAITS)))
    return np.take_along_axis(centres, donors, axis=0)


def species_points(centre: Point, count: int, *, limbs: bool, rng: np.random.Generator) -> Point:
    """Place the species of one family, all at the same distance `SPECIES_GAP` from each other.

    Args:
        centre: The family, `(len(TRAITS),)`.
        count: Number of species.
        limbs: Whether the family has appendages, in which species can differ.
        rng: Source of chance.

    Returns:
        `(count, len(TRAITS))`: the corners of a regular simplex in a random subspace of `DIAGNOSTIC_TRAITS` traits.
    """
    usable = [i for i, name in enumerate(TRAITS) if _DIAGNOSTIC[i] and (limbs or name not in _LIMB_TRAITS)]
    chosen = rng.choice(usable, min(len(usable), max(DIAGNOSTIC_TRAITS, count)), replace=False)
    corners = np.eye(count, len(chosen)) - np.eye(count, len(chosen)).mean(axis=0)
    turn, _ = np.linalg.qr(rng.standard_normal((len(chosen), len(chosen))))
    offsets = np.zeros((count, len(TRAITS)))
    offsets[:, chosen] = corners @ turn * (SPECIES_GAP / 2**0.5)
    points: Point = centre + offsets * VISIBILITY
    points[:, 0] %= 1.0
    points[:, 1:] = np.clip(points[:, 1:], 0.0, 1.0)
    return points


def individual(species: Traits, spread: float, rng: np.random.Generator) -> Traits:
    """Draw one individual.

    Args:
        species: The species' point.
        spread: Standard deviation in trait units, the same in every direction.
        rng: Source of chance.

    Returns:
        Traits around the species' point, normal and cut at 2.5 standard deviations.
    """
    deviation = np.clip(rng.standard_normal(len(TRAITS)), -_MAX_DEVIATION, _MAX_DEVIATION)
    return traits_at(species.point() + spread * VISIBILITY * deviation)
