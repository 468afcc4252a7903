"""Images of composite scenes, and where their objects are seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniatures.camera import developed, shaded
from miniatures.composite.composing import Composition, Stream, compose, stream
from miniatures.composite.figures import Figure, stand
from miniatures.composite.ground import draw_ground
from miniatures.composite.layout import composite_folder
from miniatures.composite.shadows import on_figure, on_ground
from miniatures.composite.spec import CompositeSpec
from miniatures.fields import halved
from miniatures.occluders import occlude

NOTHING = -1
_MOSTLY = 0.5


class Composite(NamedTuple):
    """One image with all that is known about it.

    Attributes:
        image: `(size_px, size_px, 3)` uint8 in sRGB.
        objects: `(size_px, size_px)`: position of the object in `composition.kinds`; -1 is the surroundings.
        composition: What it shows.
    """

    image: NDArray[np.uint8]
    objects: NDArray[np.intp]
    composition: Composition


def draw_composite(spec: CompositeSpec, folder: str, index: int) -> Composite:
    """Render one image, and keep what it was made of.

    Args:
        spec: What to render.
        folder: A key of `composite_folders(spec)`.
        index: Which image of the folder, from 0.

    Returns:
        The same bytes whatever was rendered before, and in whichever process.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    content = composite_folder(spec, folder, index)
    composition = compose(spec, content, index)
    stage = composition.stage
    figures = stood(composition, spec.size_px)
    rng = stream(spec, content, index, Stream.DETAILS)
    image, colours = draw_ground(stage, spec.size_px, rng)
    image = image * on_ground(figures, stage, spec.size_px)
    for number, figure in enumerate(figures):
        gloss = composition.individuals[number].traits.gloss
        light = on_figure(figure, figures[number + 1 :], stage, spec.size_px)
        lit = halved(shaded(figure.organism, stage.scene, gloss) * figure.organism.cover) * light
        seen, part = _overlap(figure, spec.size_px)
        image[:, *seen] = image[:, *seen] * (1.0 - figure.cover[part]) + lit[:, *part]
    image = occlude(image, stage.scene.occluders, colours, rng)
    return Composite(developed(image, stage.scene, rng), seen_objects(figures, spec.size_px), composition)


def render_composites(spec: CompositeSpec, folder: str, indices: range | None = None) -> dict[str, NDArray[np.uint8]]:
    """Render images of one folder.

    Args:
        spec: What to render.
        folder: A key of `composite_folders(spec)`.
        indices: Which images of the folder, from 0; all unless given.

    Returns:
        File name to image, `(size_px, size_px, 3)` in sRGB.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    content = composite_folder(spec, folder, 0)
    chosen = range(content.images) if indices is None else indices
    return {content.image_name(i): draw_composite(spec, folder, i).image for i in chosen}


def stood(composition: Composition, size: int) -> list[Figure]:
    """Put the objects into their places, the furthest first, not yet lit."""
    pairs = zip(composition.individuals, composition.stage.places, strict=True)
    return [stand(one, place, composition.stage.scene, size) for one, place in pairs]


def seen_objects(figures: list[Figure], size: int) -> NDArray[np.intp]:
    """Return the position of the nearest figure at each pixel, `(size, size)`; -1 where there is none.

    What stands between the camera and all objects is ignored: an object goes on behind a blade of grass.
    """
    objects = np.full((size, size), NOTHING, np.intp)
    for number, figure in enumerate(figures):
        seen, part = _overlap(figure, size)
        objects[seen][figure.cover[part] > _MOSTLY] = number
    return objects


def _overlap(figure: Figure, size: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the rows and columns of the image that a figure's window covers, and those of the window."""
    side = len(figure.cover)
    starts = (figure.top, figure.left)
    rows, columns = (slice(max(start, 0), max(min(start + side, size), 0)) for start in starts)
    part = tuple(
        slice(seen.start - start, seen.stop - start) for seen, start in zip((rows, columns), starts, strict=True)
    )
    return (rows, columns), (part[0], part[1])
