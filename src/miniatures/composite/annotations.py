"""COCO's annotations of the composite scenes."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from miniatures.composite.composing import compose
from miniatures.composite.layout import SPLITS, CompositeFolder, category_ids, composite_folders
from miniatures.composite.rendering import seen_objects, stood
from miniatures.composite.spec import CompositeSpec

_OBJECTS_PER_IMAGE = 10


def instances(spec: CompositeSpec, split: str) -> dict[str, Any]:
    """Annotate one split; nothing is lit or photographed for it.

    Args:
        spec: What is rendered.
        split: `train` or `val`.

    Returns:
        Content of `annotations/instances_<split>.json`: `info`, `licenses`, `images`, `annotations` and `categories` as
        in COCO, without segmentations. A box is left, top, width and height in pixels of what is seen of an object, an
        area the number of these pixels. An object of which no pixel is seen has no annotation.

    Raises:
        ValueError: If there is no such split; the message names the nearest one.
    """
    if split not in SPLITS:
        nearest = difflib.get_close_matches(split, SPLITS, n=1, cutoff=0.0)[0]
        raise ValueError(f"no split {split!r}; did you mean {nearest!r}? (known: {', '.join(SPLITS)})")
    content, categories = composite_folders(spec)[split], category_ids(spec)
    size = {"height": spec.size_px, "width": spec.size_px}
    numbers = range(content.images)
    return {
        "info": {"description": "Fabricated composite scenes", "version": "1.0", "seed": spec.seed},
        "licenses": [],
        "images": [{"id": content.image_id(i), "file_name": content.image_name(i), **size} for i in numbers],
        "annotations": [one for i in numbers for one in _seen(spec, content, i, categories)],
        "categories": [{"id": number, "name": name, "supercategory": "object"} for name, number in categories.items()],
    }


def _seen(
    spec: CompositeSpec, content: CompositeFolder, index: int, categories: dict[str, int]
) -> list[dict[str, Any]]:
    composition = compose(spec, content, index)
    objects, image = seen_objects(stood(composition, spec.size_px), spec.size_px), content.image_id(index)
    listed = []
    for number, kind in enumerate(composition.kinds):
        rows, columns = np.nonzero(objects == number)
        if not len(rows):
            continue
        left, top = int(columns.min()), int(rows.min())
        listed.append(
            {
                "id": image * _OBJECTS_PER_IMAGE + number,
                "image_id": image,
                "category_id": categories[kind.name],
                "bbox": [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top],
                "area": len(rows),
                "iscrowd": 0,
            }
        )
    return listed
