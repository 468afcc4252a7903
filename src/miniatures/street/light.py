"""Sun, sky and haze: everything that is seen is lit by this one file, whatever it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from miniatures.fields import Field, ramp
from miniatures.street.facets import Facets
from miniatures.street.raster import Surfaces
from miniatures.street.solids import Thing, foot_radius
from miniatures.street.view import Floats, View

_NEAR_SHADOWS = 70.0
"""Distance in metres from which on shadows on the ground are too thin to be seen."""

_FOOT = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12)), np.zeros(12), np.sin(np.linspace(0, 2 * np.pi, 12))], axis=1)


class Light(NamedTuple):
    """The light of one image, colours in linear light.

    Attributes:
        towards: Unit vector to the sun: right, up, away.
        sun: Colour and strength of direct light.
        ambient: Of light from the sky.
        zenith: Colour of the sky above.
        haze: Colour of the sky at the horizon, and of the haze.
        density: Share of light that is lost per metre.
        clouds: 0 is a blue sky, 1 an overcast one.
    """

    towards: Floats
    sun: Floats
    ambient: Floats
    zenith: Floats
    haze: Floats
    density: float
    clouds: float


class Shade(NamedTuple):
    """Where direct light (`cast`) and light from the sky (`contact`) do not reach the ground, `(rows, columns)`."""

    cast: Field
    contact: Field
    in_shadow: Floats


def shade(things: list[Thing], facets: Facets, backdrop: int, view: View, light: Light) -> Shade:
    """Find the shadows on the ground.

    Args:
        things: The scene.
        facets: Its facets.
        backdrop: How many of the first things are ground and what borders the street; the rest stands in the street.
        view: The camera.
        light: Gives the direction.

    Returns:
        Shares in [0, 1], and for each thing whether the backdrop keeps the sun from it, `(things,)`.
    """
    canvas = Image.new("L", (view.columns, view.rows), 0)
    draw = ImageDraw.Draw(canvas)
    upright = np.array([thing.upright and thing.z < _NEAR_SHADOWS for thing in things])
    _draw_cast(draw, facets, upright & (np.arange(len(things)) < backdrop), view, light)
    feet = view.seen(np.array([(one.x, one.y, one.z) for one in things]))
    limits = np.array([view.columns - 1, view.rows - 1])
    column, row = np.clip(feet, 0, limits).astype(int).T
    in_shadow = (np.asarray(canvas)[row, column] > 0) & (np.arange(len(things)) >= backdrop)
    _draw_cast(draw, facets, upright & (np.arange(len(things)) >= backdrop) & ~in_shadow, view, light)
    cast = np.asarray(canvas.filter(ImageFilter.BoxBlur(1 + view.columns / 250)), np.float32) / 255
    contact = _contact([one for one in things[backdrop:] if one.upright], view)
    return Shade(cast, contact, in_shadow.astype(np.float32))


def _draw_cast(draw: ImageDraw.ImageDraw, facets: Facets, casting: NDArray[np.bool_], view: View, light: Light) -> None:
    """Draw what the sun projects to the ground."""
    slope = light.towards[[0, 2]] / light.towards[1]
    for corners, owners in zip(facets.corners, facets.owners, strict=True):
        ground = corners[casting[owners]]
        ground[..., [0, 2]] -= ground[..., 1:2] * slope
        ground[..., 1] = 0.0
        ahead = ground[..., 2].max(axis=1) > 1.0
        for outline in view.outlines(ground[ahead]):
            draw.polygon(outline, fill=255)


def _contact(things: list[Thing], view: View) -> Field:
    """Darken the ground around the foot of each thing."""
    canvas = Image.new("L", (view.columns, view.rows), 0)
    draw = ImageDraw.Draw(canvas)
    places = np.array([(one.x, one.y, one.z, 1.12 * foot_radius(one)) for one in things]).reshape(-1, 4)
    feet = places[:, None, :3] + _FOOT * places[:, 3, None, None]
    for outline in view.outlines(feet):
        draw.polygon(outline, fill=255)
    return np.asarray(canvas.filter(ImageFilter.BoxBlur(view.columns / 160)), np.float32) / 255


def lit(seen: Surfaces, shadows: Shade, light: Light, view: View, sky: Field) -> Field:
    """Light the surfaces and look at them through the haze.

    Args:
        seen: The surfaces.
        shadows: On the ground and on whole things.
        light: Sun, sky and haze.
        view: The camera.
        sky: What is seen where there is no surface, `(3, rows, columns)`; overwritten.

    Returns:
        Light that reaches the camera, `(3, rows, columns)`, float32.
    """
    towards, sun, ambient, haze = (
        values.astype(np.float32) for values in (light.towards, light.sun, light.ambient, light.haze)
    )
    level = ramp(seen.normal[1], 0.8, 0.95)
    sunlit = 1.0 - np.maximum(shadows.cast * level, shadows.in_shadow.astype(np.float32).take(seen.thing))
    direct = np.maximum(np.tensordot(towards, seen.normal, 1), 0.0) * sunlit
    open_sky = (0.68 + 0.32 * seen.normal[1]) * (1.0 - 0.55 * level * shadows.contact)
    shine = _shine(seen, towards, view) * sunlit
    clear = np.exp(seen.depth * np.float32(-light.density))
    image = sky
    surface = seen.thing >= 0
    for band in range(3):
        reflected = seen.reflectance[band] * (sun[band] * direct + ambient[band] * open_sky) + sun[band] * shine
        np.copyto(image[band], haze[band] + (reflected - haze[band]) * clear, where=surface)
    return image


def _shine(seen: Surfaces, towards: Floats, view: View) -> Field:
    """Return the highlights (Blinn), `(rows, columns)`."""
    shine = np.zeros(seen.gloss.shape, np.float32)
    row, column = np.nonzero(seen.gloss)
    sight = np.stack([column - view.middle, view.horizon - row, np.full(len(row), view.focal)]).astype(np.float32)
    halfway = towards[:, None] - sight / np.sqrt((sight * sight).sum(axis=0))
    lean = (halfway * seen.normal[:, row, column]).sum(axis=0) / np.sqrt((halfway * halfway).sum(axis=0))
    lean = np.maximum(lean, 0.0)
    for _ in range(5):
        lean = lean * lean
    shine[row, column] = lean * seen.gloss[row, column] * np.float32(0.4)
    return shine


def sky(light: Light, view: View, rng: np.random.Generator) -> Field:
    """Return the sky with its clouds, `(3, rows, columns)` float32."""
    rows = min(view.rows, int(view.horizon) + 4)
    rise = np.clip((view.horizon - np.arange(rows)) / (0.7 * view.rows), 0.0, 1.0).astype(np.float32)
    wave = np.zeros((rows, view.columns), np.float32)
    for down, across, strength in ((5, 4, 0.6), (10, 8, 0.35), (24, 20, 0.2)):
        coarse = Image.fromarray(rng.standard_normal((down, across), dtype=np.float32))
        wave += strength * np.asarray(coarse.resize((view.columns, rows), Image.Resampling.BICUBIC))
    cover = ramp(wave, 0.9 - 1.6 * light.clouds, 1.5 - 1.6 * light.clouds) * (0.85 * (0.25 + 0.75 * rise[:, None]))
    white = light.ambient * 0.75 + light.sun * 0.22
    image = np.empty((3, view.rows, view.columns), np.float32)
    for band in range(3):
        haze = np.float32(light.haze[band])
        blue = haze + np.float32(light.zenith[band] - haze) * np.sqrt(rise)[:, None]
        image[band] = haze
        image[band, :rows] = blue + (np.float32(white[band]) * (1 - 0.12 * wave) - blue) * cover
    return image
