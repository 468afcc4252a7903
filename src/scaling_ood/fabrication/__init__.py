"""Rendered stand-ins for data sets that cannot be shipped, in the on-disk layouts of the real ones.

Pure functions: nothing here reads or writes a file.
"""

from scaling_ood.fabrication.miniature import FolderSpec, draw_image, folders, image_name, render_folder, render_image
from scaling_ood.fabrication.naming import family_of
from scaling_ood.fabrication.spec import MiniatureSpec
from scaling_ood.fabrication.taxonomy import Species, Taxonomy, taxonomy
from scaling_ood.fabrication.workers import rendering_workers

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
