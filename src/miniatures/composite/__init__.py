"""Rendered scenes of several objects each, in COCO's on-disk layout, with scenes of unseen objects in ImageNet's.

What an image shows besides its objects, how many there are, and where and how large they stand, is drawn before anybody
knows what they are, and by the same rules in every part. An OOD scene differs from a training scene in nothing but the
kinds of its objects; a control scene is filed like an OOD scene, and made of known kinds.

Pure functions: nothing here reads or writes a file.
"""

from miniatures.composite.annotations import instances
from miniatures.composite.kinds import Kind, Kinds, kinds
from miniatures.composite.layout import (
    PARTS,
    SPLITS,
    CompositeFolder,
    category_ids,
    composite_folders,
)
from miniatures.composite.rendering import Composite, draw_composite, render_composites
from miniatures.composite.spec import CompositeSpec

__all__ = [
    "PARTS",
    "SPLITS",
    "Composite",
    "CompositeFolder",
    "CompositeSpec",
    "Kind",
    "Kinds",
    "category_ids",
    "composite_folders",
    "draw_composite",
    "instances",
    "kinds",
    "render_composites",
]
