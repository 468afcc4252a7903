"""Rendered stand-ins for data sets that cannot be shipped, in the on-disk layouts of the real ones.

A package of its own, which knows nothing of `scaling_ood`. Pure functions: nothing here reads or writes a file.
"""

from miniatures.miniature import FolderSpec, draw_image, folders, image_name, render_folder, render_image
from miniatures.naming import family_of
from miniatures.spec import MiniatureSpec
from miniatures.taxonomy import Species, Taxonomy, taxonomy
from miniatures.workers import rendering_workers

__all__ = [
    "FolderSpec",
    "MiniatureSpec",
    "Species",
    "Taxonomy",
    "draw_image",
    "family_of",
    "folders",
    "image_name",
    "render_folder",
    "render_image",
    "rendering_workers",
    "taxonomy",
]
