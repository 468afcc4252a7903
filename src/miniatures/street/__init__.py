"""Rendered street scenes in StreetHazards' on-disk layout and label ids, with unseen objects in the test towns.

An unseen object becomes part of the scene before any light falls on it, so shading, shadows, occlusion, perspective and
haze treat it as everything else; it takes the place, the area, the colours and the contrast of a known object.

Pure functions: nothing here reads or writes a file.
"""

from miniatures.street.labels import Label
from miniatures.street.layout import SPLITS, StreetFolder, street_folders, street_image_name
from miniatures.street.rendering import Street, draw_street, render_inserted, render_street, render_town
from miniatures.street.spec import StreetSpec

__all__ = [
    "SPLITS",
    "Label",
    "Street",
    "StreetFolder",
    "StreetSpec",
    "draw_street",
    "render_inserted",
    "render_street",
    "render_town",
    "street_folders",
    "street_image_name",
]
