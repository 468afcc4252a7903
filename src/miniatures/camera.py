"""From a lit scene to the pixels of a photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from miniatures.backgrounds import BACKGROUNDS, palette
from miniatures.colour import Colour, colour
from miniatures.fields import Field, blurred, halved, pixel_grid, ramp
from miniatures.occluders import occlude
from miniatures.organism import Organism
from miniatures.scene import Scene

SUPERSAMPLING = 2
"""Subpixels per pixel and axis for the object; backgrounds have no hard edges and need none."""


def light_direction(scene: Scene) -> tuple[float, float, float]:
    """Return the unit vector to the light: right, up, towards the camera."""
    flat = float(np.cos(scene.light_elevation))
    height = float(np.sin(scene.light_elevation))
    return flat * float(np.cos(scene.light_azimuth)), flat * float(np.sin(scene.light_azimuth)), height


def light_colour(scene: Scene) -> Colour:
    """Return the colour of the direct light, `(3, 1, 1)`, with its intensity."""
    tint = colour(1.0 + 0.12 * scene.light_warmth, 1.0, 1.0 - 0.16 * scene.light_warmth)
    return tint * scene.light_intensity


def shaded(organism: Organism, scene: Scene, gloss: float) -> Field:
    """Light the object: diffuse, a highlight, and light from the sky.

    Args:
        organism: Fields of the object.
        scene: Gives the light.
        gloss: Trait in [0, 1]: matt to shiny.

    Returns:
        Light that reaches the camera, `(3, size, size)`; only meaningful where the object covers the pixel.
    """
    size = len(organism.height)
    slope_x = np.gradient(organism.height, axis=1) * (size / 2)
    slope_y = -np.gradient(organism.height, axis=0) * (size / 2)
    shrink = 1.0 / np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    lx, ly, lz = light_direction(scene)
    diffuse = np.clip(((lz - lx * slope_x - ly * slope_y) * shrink + 0.15) * (1 / 1.15), 0.0, 1.0)
    half = 1.0 / (2.0 + 2.0 * lz) ** 0.5
    shine = np.clip(((lz + 1.0) - lx * slope_x - ly * slope_y) * shrink * half, 0.0, 1.0)
    for _ in range(5):
        shine = shine * shine
    sky = scene.light_ambient * (0.75 - 0.35 * slope_y * shrink) * (0.55 + 0.45 * shrink)
    sun = light_colour(scene)
    light = diffuse * sun + sky * colour(0.94, 0.98, 1.06)
    reflected: Field = organism.skin * light + shine * (0.08 + 0.5 * gloss) * sun
    return reflected


def photograph(organism: Organism, gloss: float, scene: Scene) -> NDArray[np.uint8]:
    """Put the object into its surroundings and take the picture.

    Args:
        organism: Fields of the object at `SUPERSAMPLING` times the image's size.
        gloss: Trait in [0, 1] of the object's skin.
        scene: Light, background, occluders and camera.

    Returns:
        `(size, size, 3)` in sRGB.
    """
    size = len(organism.cover) // SUPERSAMPLING
    rng = np.random.default_rng(scene.texture_seed)
    colours = palette(scene.ground_hue, scene.ground_saturation, scene.ground_value, rng)
    ground = blurred(BACKGROUNDS[scene.background](rng, size, colours), scene.ground_defocus)
    image = ground * (light_colour(scene) * light_direction(scene)[2] + scene.light_ambient)
    image = image * (_unshadowed(halved(organism.distance), scene) * (1.0 - halved(organism.cover)))
    image = image + halved(shaded(organism, scene, gloss) * organism.cover)
    image = occlude(image, scene.occluders, colours, rng)
    return developed(image, scene, rng)


def _unshadowed(distance: Field, scene: Scene) -> Field:
    """Return the share of light that the object lets through to the ground: a cast and a contact shadow."""
    size = len(distance)
    lx, ly, lz = light_direction(scene)
    reach = 0.16 * scene.scale * size / 2 / lz
    columns = np.clip(np.arange(size) + round(lx * reach), 0, size - 1)
    rows = np.clip(np.arange(size) - round(ly * reach), 0, size - 1)
    cast = ramp(distance[rows][:, columns], 0.12, -0.08) * (0.65 * scene.light_intensity / 1.15)
    contact = ramp(distance, 0.14, 0.0) * 0.3
    return (1.0 - cast) * (1.0 - contact)


def developed(image: Field, scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what the camera makes of light that reaches it.

    Args:
        image: Linear light, `(3, size, size)`.
        scene: Gives the camera.
        rng: Source of chance of the noise.

    Returns:
        `(size, size, 3)` in sRGB.
    """
    x, y = pixel_grid(image.shape[-1])
    fall = scene.exposure * (1.0 - scene.vignette * 0.5 * (x * x + y * y))
    image = blurred(image * fall, scene.softness)
    # A shoulder keeps highlights from being cut off; below 0.6 the response is all but linear.
    image = image / np.sqrt(np.sqrt(1.0 + np.square(np.square(image))))
    encoded = np.power(np.maximum(image, 0.0), 1 / 2.2)
    noise = rng.standard_normal(image.shape, dtype=np.float32) * scene.grain
    pixels = np.clip((encoded + noise) * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))
