"""COCO's annotation files in a few lines."""


def coco_document(images, boxes, categories):
    """COCO's JSON. `images`: id to file name; `boxes`: (image, category[, crowd]); `categories`: id to name."""
    return {
        "info": {"description": "a test"},
        "licenses": [],
        "images": [{"id": each, "file_name": name, "width": 8, "height": 8} for each, name in images.items()],
        "annotations": [
            {
                "id": number,
                "image_id": box[0],
                "category_id": box[1],
                "iscrowd": int(len(box) > 2 and box[2]),
                "bbox": [1, 1, 3, 3],
                "area": 9,
                "segmentation": {"counts": [1, 2], "size": [8, 8]} if len(box) > 2 else [[1, 1, 4, 1, 4, 4]],
            }
            for number, box in enumerate(boxes, start=1)
        ],
        "categories": [{"supercategory": "x", "id": each, "name": name} for each, name in categories.items()],
    }
