"""Which facet is seen at each subpixel, and what is known about it there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from miniatures.fields import Field
from miniatures.street.facets import Facets
from miniatures.street.textures import TEXTURES, grains
from miniatures.street.view import View


class Surfaces(NamedTuple):
    """What each subpixel shows, before any light falls on it; meaningless where `thing` is -1, which is sky.

    Attributes:
        thing: Position of the thing in the scene, `(rows, columns)`.
        normal: Unit vectors to the outside: right, up, away, `(3, rows, columns)`.
        reflectance: Red, green, blue in linear light, `(3, rows, columns)`.
        gloss: 0 is matt, `(rows, columns)`.
        depth: Distance along z in metres, `(rows, columns)`.
    """

    thing: NDArray[np.intp]
    normal: Field
    reflectance: Field
    gloss: Field
    depth: Field


def painted(outlines: list[list[float]], view: View) -> NDArray[np.int32]:
    """Paint outlines over each other.

    Args:
        outlines: x0, y0, x1, y1, ... per facet, the nearest last.
        view: Gives the size.

    Returns:
        `(rows, columns)`: the number of the facet on top, from 1; 0 where there is none.
    """
    canvas = Image.new("I", (view.columns, view.rows), 0)
    draw = ImageDraw.Draw(canvas)
    for number, outline in enumerate(outlines, start=1):
        draw.polygon(outline, fill=number)
    return np.asarray(canvas)


def surfaces(facets: Facets, view: View) -> Surfaces:
    """Rasterise facets, and evaluate relief and texture at every subpixel.

    Args:
        facets: In painting order.
        view: The camera.

    Returns:
        The surfaces, before any light falls on them.
    """
    # Sky wears the last facet, whatever that is: the shader looks at `thing` in the end.
    facet = painted(facets.outlines, view).astype(np.intp) - 1
    column = np.arange(view.columns, dtype=np.float32) + np.float32(0.5)
    row = (np.arange(view.rows, dtype=np.float32) + np.float32(0.5))[:, None]
    table = facets.unproject.reshape(-1, 9).T.astype(np.float32)
    right, up, near = (
        table[i].take(facet) * column + table[i + 1].take(facet) * row + table[i + 2].take(facet) for i in (0, 3, 6)
    )
    depth = 1.0 / np.maximum(near, 1e-3)
    right, up = right * depth, up * depth
    return Surfaces(
        np.where(facet < 0, -1, facets.thing.take(facet)),
        _normal(facets, facet, right, up),
        _reflectance(facets, facet, right, up, depth / np.float32(view.focal)),
        facets.skin[:, 10].astype(np.float32).take(facet),
        depth,
    )


def _normal(facets: Facets, facet: NDArray[np.intp], right: Field, up: Field) -> Field:
    """Return unit normals: those of the facets, and on rounds those of the ellipsoid."""
    axes = facets.axes.reshape(-1, 9).T.astype(np.float32)
    normal = np.stack([axis.take(facet) for axis in axes[6:]])
    rounds = np.flatnonzero(facets.bulge.any(axis=1).take(facet))
    facet = facet.ravel()[rounds]
    bulge = facets.bulge.T.astype(np.float32)
    lean_x, lean_y = (
        np.clip(bulge[i].take(facet) * side.ravel()[rounds], -0.95, 0.95) for i, side in ((0, right), (1, up))
    )
    straight = np.sqrt(np.maximum(1.0 - lean_x * lean_x - lean_y * lean_y, 0.02))
    bent = [
        axes[i].take(facet) * lean_x + axes[i + 3].take(facet) * lean_y + axes[i + 6].take(facet) * straight
        for i in range(3)
    ]
    length = np.sqrt(bent[0] * bent[0] + bent[1] * bent[1] + bent[2] * bent[2])
    for plane, values in zip(normal.reshape(3, -1), bent, strict=True):
        plane[rounds] = values / length
    return normal


def _reflectance(facets: Facets, facet: NDArray[np.intp], right: Field, up: Field, footprint: Field) -> Field:
    """Mix both colours of a skin; detail finer than the footprint (metres per subpixel) fades out."""
    skin = facets.skin.T.astype(np.float32)
    colour = np.stack([channel.take(facet) for channel in skin[:3]])
    kinds = skin[6].astype(np.uint8)
    kind = kinds.take(facet).ravel()
    flat = colour.reshape(3, -1)
    for number, texture in enumerate(TEXTURES.values()):
        if number > 0 and number in kinds:
            part = np.flatnonzero(kind == number)
            own, frequency = facet.ravel()[part], skin[7].take(facet.ravel()[part])
            x, y = right.ravel()[part] * frequency, up.ravel()[part] * frequency
            sharp = np.clip(1.4 - 2.0 * frequency * footprint.ravel()[part], 0.0, 1.0)
            weight = 0.35 + (texture(x, y, skin[8].take(own)) - 0.35) * sharp
            for first, second, plane in zip(skin[:3], skin[3:6], flat, strict=True):
                plane[part] += (second - first).take(own) * weight
    fine = skin[9].take(facet) * np.clip(1.5 - 11.0 * footprint, 0.25, 1.0)
    reflectance: Field = colour * np.maximum(1.0 + fine * grains(right * 11.0, up * 11.0), 0.2)
    return reflectance
