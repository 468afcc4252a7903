"""Boxes in YOLO text, rewritten as COCO's official `instances` JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

# The 80 detection classes in the order of YOLO's class index. 11 of COCO's 91 object categories never got a box: their
# official ids are skipped.
_NAMES = (
    "person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant - stop_sign parking_meter "
    "bench bird cat dog horse sheep cow elephant bear zebra giraffe - backpack umbrella - - handbag tie suitcase "
    "frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle - "
    "wine_glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair "
    "couch potted_plant bed - dining_table - - toilet - tv laptop mouse remote keyboard cell_phone microwave oven "
    "toaster sink refrigerator - book clock vase scissors teddy_bear hair_drier toothbrush"
)
CATEGORIES: tuple[tuple[int, str], ...] = tuple(
    (number, name.replace("_", " ")) for number, name in enumerate(_NAMES.split(), start=1) if name != "-"
)
_FIELDS = 5


def coco_instances(description: str, sizes: Mapping[str, tuple[int, int]], labels: Mapping[str, str]) -> dict[str, Any]:
    """The COCO document of a set of images.

    Args:
        description: Goes into the document's `info`.
        sizes: Width and height in pixels by image file name, whose stem is COCO's numeric image id.
        labels: YOLO text by image file name, a box per line: `class x y width height`, the centre and the size as
            fractions of the image. An image without text has no boxes.

    Returns:
        `info`, `images`, `annotations` (`bbox` = left, top, width, height in pixels, two decimals; `area` of the box,
        as YOLO text has no outline) and the 80 `categories` with their official ids.

    Raises:
        ValueError: A line is not five numbers, a class is not 0-79, or labels belong to no image; all are named.

    >>> document = coco_instances("one", {"000000000009.jpg": (640, 480)}, {"000000000009.jpg": "45 .5 .5 .25 .5"})
    >>> document["annotations"]
    [{'id': 1, 'image_id': 9, 'category_id': 51, 'bbox': [240.0, 120.0, 160.0, 240.0], 'area': 38400.0, 'iscrowd': 0}]
    """
    problems = [f"{name}: labels without an image" for name in sorted(set(labels) - set(sizes))]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, (width, height) in sorted(sizes.items()):
        image_id = int(PurePosixPath(name).stem)
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for number, line in enumerate(labels.get(name, "").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                category, box = _box(line, width, height)
            except ValueError as error:
                problems.append(f"{name}, line {number}: {error}")
                continue
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                }
            )
    if problems:
        raise ValueError("YOLO labels that cannot be converted:\n  " + "\n  ".join(problems))
    return {
        "info": {"description": description},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in CATEGORIES],
    }


def _box(line: str, width: int, height: int) -> tuple[int, list[float]]:
    """Official category id and `[left, top, width, height]` in pixels of one line of YOLO text."""
    fields = line.split()
    if len(fields) != _FIELDS:
        raise ValueError(f"expected 'class x y width height', got '{line}'")
    index = int(fields[0])
    if not 0 <= index < len(CATEGORIES):
        raise ValueError(f"class {index} is not one of 0-{len(CATEGORIES) - 1}")
    x, y, w, h = (float(field) for field in fields[1:])
    box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
    return CATEGORIES[index][0], [round(value, 2) for value in box]
