"""Images and annotations of the fabricated StreetHazards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniatures.street.facets import facets
from miniatures.street.labels import Label
from miniatures.street.layout import street_folder, street_image_name
from miniatures.street.lens import SUPERSAMPLING, photographed
from miniatures.street.light import lit, shade, sky
from miniatures.street.raster import surfaces
from miniatures.street.scene import Scene, Stream, draw_scene, stream
from miniatures.street.spec import StreetSpec


class Street(NamedTuple):
    """One image with all that is known about it.

    Attributes:
        image: `(height, width, 3)` uint8 in sRGB.
        labels: `(height, width)` uint8, values of `Label`.
        things: `(height, width)`: position of the thing in `scene.things`; -1 is sky.
        scene: What it shows.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    things: NDArray[np.intp]
    scene: Scene

    def inserted(self) -> NDArray[np.bool_]:
        """Return where the inserted object is seen: the anomaly, or in the control a known object."""
        if self.scene.inserted is None:
            return np.zeros(self.things.shape, bool)
        seen: NDArray[np.bool_] = self.things == self.scene.inserted
        return seen


def draw_street(spec: StreetSpec, folder: str, index: int) -> Street:
    """Render one image, and keep what it was made of.

    Args:
        spec: What to render.
        folder: A key of `street_folders(spec)`.
        index: Which image of the folder, from 0.

    Returns:
        The same bytes whatever was rendered before, and in whichever process.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    content = street_folder(spec, folder, index)
    scene = draw_scene(spec, content, index)
    view, light, lens = scene.shot
    backdrop = sky(light, view, stream(spec, content, index, Stream.SKY))
    cut = facets(scene.things, view, stream(spec, content, index, Stream.OUTLINES))
    seen = surfaces(cut, view)
    shadows = shade(scene.things, cut, scene.backdrop, view, light)
    image = photographed(lit(seen, shadows, light, view, backdrop), lens, stream(spec, content, index, Stream.NOISE))
    things = seen.thing[::SUPERSAMPLING, ::SUPERSAMPLING]
    names = np.array([*(thing.label for thing in scene.things), Label.BACKGROUND], np.uint8)
    return Street(image, names[things], things, scene)


def render_street(spec: StreetSpec, folder: str, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render one image and its annotation.

    Args:
        spec: What to render.
        folder: A key of `street_folders(spec)`.
        index: Which image of the folder, from 0.

    Returns:
        Image `(height, width, 3)` in sRGB and labels `(height, width)`, ids 1 to 14 (in the control to 13).

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    street = draw_street(spec, folder, index)
    return street.image, street.labels


def render_inserted(spec: StreetSpec, folder: str, index: int) -> NDArray[np.uint8]:
    """Render the annotation in which the inserted object has the anomaly's id, whatever its class.

    Args:
        spec: What to render.
        folder: A key of `street_folders(spec)`.
        index: Which image of the folder, from 0.

    Returns:
        `(height, width)`, ids 1 to 14: for a test town the same as `render_street`; for the control it tells which of
        the known objects to compare with the others of its class.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    return _marked(draw_street(spec, folder, index))


def render_town(spec: StreetSpec, folder: str) -> dict[str, dict[str, NDArray[np.uint8]]]:
    """Render all images of one town, each once, with their annotations.

    Args:
        spec: What to render.
        folder: A key of `street_folders(spec)`.

    Returns:
        Folder (that of the images, that of the annotations, and in the control that of what was inserted) to file name
        to pixels.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
    """
    content = street_folder(spec, folder, 0)
    folders: dict[str, dict[str, NDArray[np.uint8]]] = {place: {} for place in content.places(folder)}
    for index in range(content.images):
        street = draw_street(spec, folder, index)
        layers = [street.image, street.labels, *([_marked(street)] if content.is_control else [])]
        for place, pixels in zip(folders, layers, strict=True):
            folders[place][street_image_name(index)] = pixels
    return folders


def _marked(street: Street) -> NDArray[np.uint8]:
    marked: NDArray[np.uint8] = np.where(street.inserted(), np.uint8(Label.ANOMALY), street.labels)
    return marked
