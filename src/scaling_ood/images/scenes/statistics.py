"""What a manifest of scenes holds: images per class, anomalous area, and its digest."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import pandas as pd

from scaling_ood.images.exif import Orientation, pixel_marks
from scaling_ood.images.scenes.labels import LabelMap


class AnomalousArea(NamedTuple):
    """How much of the test images is anomalous; shares are fractions of all pixels of an image.

    Attributes:
        images: Test images with an anomaly, over which the others are taken.
        without: Test images without one.
        mean_share: Mean over images.
        median_share: Median over images.
        fewest_px: Anomalous pixels of the image that has fewest.
    """

    images: int
    without: int
    mean_share: float
    median_share: float
    fewest_px: int


def images_per_class(manifest: pd.DataFrame, labels: LabelMap, by: str = "split") -> pd.DataFrame:
    """In how many images each class, anomaly and void appears.

    Args:
        manifest: Rows with `classes`.
        labels: Gives the rows, in its order, also those that appear nowhere.
        by: `split` (the data set's own) or `image_set` (the role).

    Returns:
        `raw_id`, `name`, `role`, one column of counts for each split or role, and `images`, their sum.
    """
    shown = manifest.assign(name=manifest["classes"].str.split(";")).explode("name")
    counts = pd.crosstab(shown["name"], shown[by]).reindex([row.name for row in labels.rows], fill_value=0)
    table = pd.DataFrame([(row.raw_id, row.name, row.role) for row in labels.rows], columns=["raw_id", "name", "role"])
    for column in sorted(manifest[by].unique()):
        table[column] = counts[column].to_numpy()
    return table.assign(images=counts.sum(axis=1).to_numpy())


def anomalous_area(manifest: pd.DataFrame) -> AnomalousArea:
    """Of the test images of a manifest; NaN and 0 where no image has an anomaly."""
    test = manifest[manifest["image_set"] == "test"]
    mine = test[test["anomalous"] > 0]
    share = mine["anomalous"] / (mine["height"] * mine["width"])
    fewest = int(mine["anomalous"].min()) if len(mine) else 0
    return AnomalousArea(len(mine), len(test) - len(mine), float(share.mean()), float(share.median()), fewest)


def scenes_digest(rows: pd.DataFrame, labels: LabelMap, orientation: Orientation = "stored") -> str:
    """20 hexadecimal digits over ids, contents and label contents of one image set, in order, and what the ids become.

    What is done to pixels (see `pixel_marks`) counts as well; paths play no part.
    """
    named = zip(rows["id"], rows["content"], rows["label_content"], pixel_marks(rows, orientation), strict=True)
    text = "\n".join([labels.digest, *(f"{scene}|{own}|{label}{marks}" for scene, own, label, marks in named)])
    return hashlib.sha256(text.encode()).hexdigest()[:20]
