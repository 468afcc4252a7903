"""What differs from photograph to photograph whatever it shows: pose, light, background, occluders and camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniatures.backgrounds import BACKGROUNDS

_KINDS = tuple(BACKGROUNDS)
_GROUNDS = ((0.08, 0.03, 1.0), (0.27, 0.06, 1.0), (0.57, 0.05, 1.0), (0.1, 0.04, 0.5), (0.0, 1.0, 0.45))
"""Earth, leaves, water, sand and anything else: mean hue, its standard deviation, and the highest saturation."""
_OCCLUDED = (0.55, 0.87)
"""Cumulative probability of no occluder, and of at most one."""


@dataclass(frozen=True)
class Scene:
    """The circumstances of one image. They know nothing about the species, so they cannot give it away.

    Attributes:
        rotation: Turn of the object in radians, counter-clockwise.
        scale: Size of an object unit (a body is about 1.2) in half image widths.
        centre_x: Position of the object, in half image widths from the centre.
        centre_y: The same, upwards.
        shear: Shear of the object.
        tilt_x: Perspective: how much nearer the right side is than the left one.
        tilt_y: The same, top and bottom.
        light_azimuth: Where the light comes from, in radians; pi/2 is the top of the image.
        light_elevation: Height of the light above the image plane, in radians.
        light_intensity: Of the direct light.
        light_ambient: Of the light from everywhere.
        light_warmth: Blue (-1) to yellow (1) light.
        background: Key of `BACKGROUNDS`.
        ground_hue: Hue of the background.
        ground_saturation: Saturation of the background.
        ground_value: Brightness of the background.
        ground_defocus: How much the background is out of focus, 0 to 1.
        occluders: Things in front of the object, 0 to 2.
        exposure: Factor of the sensor's sensitivity.
        softness: Blur of the whole image, 0 to 1.
        vignette: Loss of light in the corners.
        grain: Standard deviation of the sensor's noise.
        texture_seed: Seeds the details of the background and the occluders.
    """

    rotation: float
    scale: float
    centre_x: float
    centre_y: float
    shear: float
    tilt_x: float
    tilt_y: float
    light_azimuth: float
    light_elevation: float
    light_intensity: float
    light_ambient: float
    light_warmth: float
    background: str
    ground_hue: float
    ground_saturation: float
    ground_value: float
    ground_defocus: float
    occluders: int
    exposure: float
    softness: float
    vignette: float
    grain: float
    texture_seed: int


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw the circumstances of one image.

    Args:
        rng: Source of chance of this image's scene, and of nothing else.

    Returns:
        A scene; the same distribution for every species, in-distribution or not.
    """
    hue, sigma, vividness = _GROUNDS[rng.integers(len(_GROUNDS))]
    hue += sigma * rng.standard_normal()
    return Scene(
        rotation=float(np.clip(rng.normal(0.0, 0.3), -0.8, 0.8)),
        scale=rng.uniform(0.8, 1.02),
        centre_x=rng.uniform(-0.14, 0.14),
        centre_y=rng.uniform(-0.14, 0.14),
        shear=rng.uniform(-0.15, 0.15),
        tilt_x=rng.uniform(-0.15, 0.15),
        tilt_y=rng.uniform(-0.15, 0.15),
        light_azimuth=float(np.pi / 2) + float(np.clip(rng.normal(0.0, 0.9), -2.5, 2.5)),
        light_elevation=rng.uniform(0.5, 1.2),
        light_intensity=rng.uniform(0.75, 1.15),
        light_ambient=rng.uniform(0.28, 0.5),
        light_warmth=rng.uniform(-1.0, 1.0),
        background=_KINDS[rng.integers(len(_KINDS))],
        ground_hue=hue % 1.0,
        ground_saturation=rng.beta(1.6, 2.6) * vividness,
        ground_value=rng.uniform(0.3, 0.85),
        ground_defocus=rng.uniform(0.0, 1.0),
        occluders=int(np.searchsorted(_OCCLUDED, rng.random())),
        exposure=rng.uniform(0.85, 1.25),
        softness=rng.uniform(0.0, 0.7),
        vignette=rng.uniform(0.0, 0.35),
        grain=rng.uniform(0.004, 0.016),
        texture_seed=int(rng.integers(2**31)),
    )
