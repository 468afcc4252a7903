"""What the images of one town have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from miniatures.street.lens import SUPERSAMPLING, Lens
from miniatures.street.light import Light
from miniatures.street.solids import chance
from miniatures.street.view import View

BORDERS = ("building", "wall", "fence", "hedge")


@dataclass(frozen=True)
class Town:
    """A style: streets, houses, climate and the car that carries the camera.

    Attributes:
        lanes: Per direction.
        lane: Width of a lane in metres.
        parking: Width of the strip of parked cars on each side, in metres.
        walk: Width of the pavement in metres.
        verge: Width of the grass beyond the pavement in metres.
        hues: Hues of its houses.
        vividness: Saturation of its houses.
        storeys: Fewest and most storeys of its houses.
        borders: Probabilities of `BORDERS`.
        tree_gap: Mean distance of street trees in metres.
        line_hue: Hue of the line in the middle of the road.
        line_saturation: 0 is a white line.
        camera_height: Above the road in metres.
        focal: In image widths.
        horizon: Row of the horizon in image heights from the top.
        clouds: Mean cloudiness.
        density: Mean density of the haze per metre.
        elevation: Mean height of the sun in radians.
        warmth: Mean colour temperature of the light, -1 (blue) to 1 (yellow).
        contrast: Of the camera's tone curve.
    """

    lanes: int
    lane: float
    parking: float
    walk: float
    verge: float
    hues: tuple[float, ...]
    vividness: float
    storeys: tuple[int, int]
    borders: tuple[float, ...]
    tree_gap: float
    line_hue: float
    line_saturation: float
    camera_height: float
    focal: float
    horizon: float
    clouds: float
    density: float
    elevation: float
    warmth: float
    contrast: float

    @property
    def half_road(self) -> float:
        """Return the distance of the kerb from the middle of the road, in metres."""
        return self.lanes * self.lane + self.parking

    @property
    def half_street(self) -> float:
        """Return the distance of the houses from the middle of the road, in metres."""
        return self.half_road + self.walk + self.verge


def draw_town(rng: np.random.Generator) -> Town:
    """Invent a town."""
    weights = np.array([0.55, 0.13, 0.16, 0.16]) * rng.uniform(0.6, 1.4, 4)
    lowest = int(rng.integers(2, 4))
    yellow = chance(rng, 0.4)
    return Town(
        lanes=int(rng.integers(1, 3)),
        lane=rng.uniform(2.9, 3.4),
        parking=rng.uniform(1.9, 2.3),
        walk=rng.uniform(2.0, 3.2),
        verge=float(chance(rng, 0.5)) * rng.uniform(0.8, 2.2),
        hues=tuple(float(hue) for hue in (rng.choice((0.02, 0.07, 0.11)), *rng.uniform(0.0, 0.16, 2), rng.random())),
        vividness=rng.uniform(0.15, 0.55),
        storeys=(lowest, lowest + int(rng.integers(2, 5))),
        borders=tuple(float(weight) for weight in weights / weights.sum()),
        tree_gap=rng.uniform(11.0, 24.0),
        line_hue=0.13,
        line_saturation=0.75 if yellow else 0.0,
        camera_height=rng.uniform(1.3, 2.1),
        focal=rng.uniform(0.72, 0.92),
        horizon=rng.uniform(0.4, 0.48),
        clouds=rng.uniform(0.1, 0.65),
        density=rng.uniform(0.0005, 0.005),
        elevation=rng.uniform(0.55, 1.0),
        warmth=rng.uniform(-0.6, 0.8),
        contrast=rng.uniform(1.0, 1.25),
    )


class Shot(NamedTuple):
    """The circumstances of one image."""

    view: View
    light: Light
    lens: Lens


def draw_shot(town: Town, height_px: int, width_px: int, rng: np.random.Generator) -> Shot:
    """Draw camera, light and weather of one image of a town."""
    columns, rows = width_px * SUPERSAMPLING, height_px * SUPERSAMPLING
    view = View(
        x=0.5 * town.lane + rng.normal(0.0, 0.2),
        height=town.camera_height,
        focal=town.focal * columns,
        middle=columns / 2,
        horizon=rows * (town.horizon + float(np.clip(rng.normal(0.0, 0.012), -0.03, 0.03))),
        rows=rows,
        columns=columns,
    )
    light = _draw_light(town, rng)
    warm = 0.03 * rng.standard_normal()
    lens = Lens(
        exposure=rng.uniform(1.15, 1.5),
        balance=(1.0 + warm, 1.0, 1.0 - warm),
        contrast=town.contrast * rng.uniform(0.95, 1.05),
        softness=rng.uniform(0.05, 0.6),
        vignette=rng.uniform(0.0, 0.35),
        grain=rng.uniform(0.004, 0.014),
    )
    return Shot(view, light, lens)


def _draw_light(town: Town, rng: np.random.Generator) -> Light:
    clouds = float(np.clip(rng.normal(town.clouds, 0.22), 0.0, 1.0))
    warmth = float(np.clip(rng.normal(town.warmth, 0.3), -1.0, 1.0))
    height = float(np.clip(rng.normal(town.elevation, 0.12), 0.4, 1.25))
    azimuth = rng.uniform(0.0, 2 * np.pi)
    flat = np.cos(height)
    tint = np.array([1.0 + 0.12 * warmth, 1.0, 1.0 - 0.2 * warmth])
    grey = np.array([0.86, 0.9, 0.96])
    overcast = clouds**1.5
    return Light(
        towards=np.array([flat * np.sin(azimuth), np.sin(height), flat * np.cos(azimuth)]),
        sun=tint * 1.45 * (1.0 - 0.85 * overcast),
        ambient=(grey + (tint - 1.0) * 0.3) * (0.42 + 0.3 * overcast),
        zenith=np.array([0.16, 0.34, 0.7]) * (1 - overcast) + 0.62 * grey * overcast,
        haze=(np.array([0.66, 0.76, 0.86]) + (tint - 1.0) * 0.5) * (0.95 - 0.15 * overcast),
        density=town.density * float(rng.lognormal(0.0, 0.5)),
        clouds=clouds,
    )
