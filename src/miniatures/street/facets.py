"""From things to flat facets: outlines on the image, and what the shader must know of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from miniatures.street.solids import Box, Disc, Thing
from miniatures.street.textures import TEXTURE_IDS
from miniatures.street.view import NEAREST, Floats, View

_CORNER_X = np.array([-1, 1, 1, -1, -1, 1, 1, -1]) / 2
_CORNER_Z = np.array([-1, -1, 1, 1, -1, -1, 1, 1]) / 2
_IS_TOP = np.array([0, 0, 0, 0, 1, 1, 1, 1])
_FACES = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7]])
"""Front, right, back, left, top: from the lower left corner, as seen from outside, to the right and up."""

_TURN = np.arange(16) * (2 * np.pi / 16)


class Facets(NamedTuple):
    """Visible facets in the order in which they are painted: later ones hide earlier ones.

    Attributes:
        outlines: Per facet its corners in subpixels: x0, y0, x1, y1, ...
        corners: Corners in metres of the faces of boxes, `(f, 4, 3)`, and of the discs, `(g, 16, 3)`; in no order.
        owners: The position in the list of the thing to which each of these belongs, `(f,)` and `(g,)`.
        thing: Per facet the position of its thing in the list, `(F,)`.
        unproject: `(F, 3, 3)`, from (column, row, 1) to (right, up, 1) / distance on the facet, in metres.
        axes: `(F, 3, 3)`: unit vectors to the facet's right, up and outside.
        bulge: `(F, 2)`: how fast the surface turns away to the right and up, per metre.
        skin: `(F, 11)`: both colours, texture id, frequency, phase, grain, gloss.
    """

    outlines: list[list[float]]
    corners: list[Floats]
    owners: list[Floats]
    thing: Floats
    unproject: Floats
    axes: Floats
    bulge: Floats
    skin: Floats


class _Shape(NamedTuple):
    corners: Floats
    axes: Floats
    origin: Floats
    bulge: Floats
    skin: Floats
    thing: Floats
    layer: Floats


def facets(things: Sequence[Thing], view: View, rng: np.random.Generator) -> Facets:
    """Cut things into facets, and leave out those that the camera sees from behind.

    Args:
        things: From the furthest to the nearest.
        view: The camera.
        rng: Source of chance of ragged outlines.

    Returns:
        Facets in painting order.
    """
    boxes = [(number, box) for number, thing in enumerate(things) for box in thing.boxes]
    discs = [(number, disc) for number, thing in enumerate(things) for disc in thing.discs]
    places = np.array([(one.x, one.y, one.z, one.yaw, one.scale) for one in things])
    shapes = ([_faces(boxes, places)] if boxes else []) + ([_rounds(discs, places, view, rng)] if discs else [])
    shapes = [_visible(shape, view) for shape in shapes]
    joined = {name: np.concatenate([getattr(one, name) for one in shapes]) for name in _Shape._fields[1:]}
    depth = np.concatenate([shape.corners[..., 2].mean(axis=1) for shape in shapes])
    order = np.lexsort((-depth, joined["layer"], joined["thing"]))
    outlines = [line for one in shapes for line in view.outlines(one.corners)]
    axes, origin = joined["axes"], joined["origin"] - view.centre()
    plane = np.stack([axes[:, 0], axes[:, 1], origin], axis=-1)
    return Facets(
        [outlines[i] for i in order],
        [one.corners for one in shapes],
        [one.thing for one in shapes],
        joined["thing"][order],
        np.linalg.inv(view.matrix() @ plane)[order],
        axes[order],
        joined["bulge"][order],
        joined["skin"][order],
    )


def _skins(parts: Sequence[tuple[int, Box]] | Sequence[tuple[int, Disc]]) -> Floats:
    rows = [
        (*skin.base, *(skin.accent or skin.base), TEXTURE_IDS[skin.texture], *skin[3:])
        for skin in (part.skin for _, part in parts)
    ]
    return np.array(rows)


def _standing(points: Floats, place: Floats) -> Floats:
    """Turn, scale and move points `(n, m, 3)` to where their things `(n, 5)` stand."""
    cos, sin = np.cos(place[:, 3, None]), np.sin(place[:, 3, None])
    x, z = points[..., 0], points[..., 2]
    turned = np.stack([x * cos - z * sin, points[..., 1], x * sin + z * cos], axis=-1)
    return turned * place[:, 4, None, None] + place[:, None, :3]


def _faces(parts: Sequence[tuple[int, Box]], places: Floats) -> _Shape:
    """Return the faces of boxes; corners `(5 n, 4, 3)`."""
    thing = np.array([number for number, _ in parts])
    form = np.array([(*box[:6], *box[7:]) for _, box in parts])
    x, y, z, width, height, length, narrow, shorten, shift, layer = form.T[..., None]
    across = x + _CORNER_X * width * (1.0 + _IS_TOP * (narrow - 1.0))
    along = z + _CORNER_Z * length * (1.0 + _IS_TOP * (shorten - 1.0)) + _IS_TOP * shift
    corners = _standing(np.stack([across, y + _IS_TOP * height, along], axis=-1), places[thing])
    corners = corners[:, _FACES].reshape(-1, 4, 3)
    right = _unit(corners[:, 1] + corners[:, 2] - corners[:, 0] - corners[:, 3])
    up = _unit(corners[:, 2] + corners[:, 3] - corners[:, 0] - corners[:, 1])
    axes = np.stack([right, up, np.cross(up, right)], axis=1)
    skin, thing, layer = (np.repeat(values, 5, axis=0) for values in (_skins(parts), thing, layer[:, 0]))
    return _Shape(corners, axes, corners[:, 0], np.zeros((len(corners), 2)), skin, thing, layer)


def _rounds(parts: Sequence[tuple[int, Disc]], places: Floats, view: View, rng: np.random.Generator) -> _Shape:
    """Return the discs; corners `(n, 16, 3)`."""
    thing = np.array([number for number, _ in parts])
    form = np.array([(*disc[:5], *disc[6:9], np.nan if disc[9] is None else disc[9], *disc[10:]) for _, disc in parts])
    rx, ry, roll, power, ragged, facing, bulge, layer = form.T[3:]
    place = places[thing]
    centre = _standing(form[:, None, :3], place)[:, 0]
    # Facing the camera is to be seen at full width from wherever it stands.
    turn = np.where(np.isnan(facing), -np.arctan2(centre[:, 0] - view.x, centre[:, 2]), facing + place[:, 3])
    level = np.stack([np.cos(turn), np.zeros(len(parts)), np.sin(turn)], axis=1)
    upright = np.array([0.0, 1.0, 0.0])
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    right, up = cos * level + sin * upright, cos * upright - sin * level
    outside = np.stack([np.sin(turn), np.zeros(len(parts)), -np.cos(turn)], axis=1)
    radii = np.stack([rx, ry], axis=1) * place[:, 4:]
    wave = np.stack([np.cos(_TURN), np.sin(_TURN)])
    circle = np.sign(wave) * np.abs(wave) ** (2.0 / power[:, None, None])
    # Chance only for the ragged ones: then an inserted object, which is not, leaves all others as they are.
    rough = ragged > 0.0
    circle[rough] *= 1.0 + ragged[rough, None, None] * rng.standard_normal((int(rough.sum()), 1, len(_TURN)))
    reach = radii[:, :, None] * circle
    corners = centre[:, None] + reach[:, 0, :, None] * right[:, None] + reach[:, 1, :, None] * up[:, None]
    axes = np.stack([right, up, outside], axis=1)
    return _Shape(corners, axes, centre, bulge[:, None] / radii, _skins(parts), thing, layer)


def _visible(shape: _Shape, view: View) -> _Shape:
    sight = shape.origin - view.centre()
    facing = np.einsum("fi,fi->f", shape.axes[:, 2], sight) < -0.01 * np.linalg.norm(sight, axis=1)
    kept = facing & (shape.corners[..., 2].max(axis=1) > NEAREST)
    return _Shape(*(values[kept] for values in shape))


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    normalised: Floats = vectors / np.maximum(length, 1e-9)
    return normalised
