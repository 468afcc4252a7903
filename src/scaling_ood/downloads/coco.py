"""Boxes in YOLO text, rewritten as COCO's official `instances` JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from scaling_ood.images import open_image

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


def convert_labels(folder: Path) -> None:
    """Replace the YOLO text `labels/<split>/<id>.txt` of a folder by COCO's `annotations/instances_<split>.json`.

    Images are `<split>/<id>.jpg`, by COCO's numeric id; one without text has no boxes. A document has `info`, `images`,
    `annotations` and the 80 `categories` with their official ids.

    Raises:
        ValueError: A line of text is no box; the line is shown.
        OSError: An image cannot be opened.
    """
    (folder / "annotations").mkdir()
    for labels in sorted((folder / "labels").glob("*")):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for path in sorted((folder / labels.name).glob("*.jpg")):
            image_id = int(path.stem)
            width, height = open_image(str(path)).size
            images.append({"id": image_id, "file_name": path.name, "width": width, "height": height})
            text = labels / f"{path.stem}.txt"
            for line in text.read_text(encoding="utf-8").splitlines() if text.exists() else ():
                if line.strip():
                    box = box_of(line, width, height)
                    annotations.append({"id": len(annotations) + 1, "image_id": image_id, **box})
        document = {
            "info": {"description": f"first {len(images)} images of COCO {labels.name}"},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for number, name in CATEGORIES],
        }
        target = folder / "annotations" / f"instances_{labels.name}.json"
        target.write_text(json.dumps(document), encoding="utf-8")
    shutil.rmtree(folder / "labels", ignore_errors=True)


def box_of(line: str, width: int, height: int) -> dict[str, Any]:
    """A line of YOLO text, `class x y width height`, as COCO has it.

    Args:
        line: The class is 0-79; centre and size are fractions of the image.
        width: Of the image, in pixels.
        height: Of the image, in pixels.

    Returns:
        `category_id`, `bbox` (left, top, width and height in pixels, two decimals), `area` of the box, as YOLO text has
        no outline, and `iscrowd`.

    Raises:
        ValueError: The line is no such box.

    >>> box_of("45 .5 .5 .25 .5", 640, 480)
    {'category_id': 51, 'bbox': [240.0, 120.0, 160.0, 240.0], 'area': 38400.0, 'iscrowd': 0}
    """
    try:
        index, *fractions = line.split()
        x, y, w, h = map(float, fractions)
        category, _ = dict(enumerate(CATEGORIES))[int(index)]
    except (ValueError, KeyError) as error:
        raise ValueError(f"no box of YOLO with a class of 0-{len(CATEGORIES) - 1}: '{line}'") from error
    left, top, w, h = (round(value, 2) for value in ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height))
    return {"category_id": category, "bbox": [left, top, w, h], "area": round(w * h, 2), "iscrowd": 0}
