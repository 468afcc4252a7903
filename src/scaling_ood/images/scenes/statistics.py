"""What a manifest of scenes holds: anomalous area, and its digest."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import pandas as pd

from scaling_ood.images.exif import Orientation, pixel_marks
from scaling_ood.images.scenes.labels import LabelMap


class AnomalousArea(NamedTuple):
    """How much of the test images is anomalous.

    Attributes:
        mean_share: Fraction of the pixels of an image, as the mean over images with an anomaly; NaN where none has one.
        without: Test images without an anomaly.
    """

    mean_share: float
    without: int


def anomalous_area(manifest: pd.DataFrame) -> AnomalousArea:
    """Of the test images of a manifest."""
    test = manifest[manifest["image_set"] == "test"]
    mine = test[test["anomalous"] > 0]
    share = mine["anomalous"] / (mine["height"] * mine["width"])
    return AnomalousArea(float(share.mean()), len(test) - len(mine))


def scenes_digest(rows: pd.DataFrame, label_map: LabelMap, orientation: Orientation = "stored") -> str:
    """20 hexadecimal digits over ids, contents and label contents of one image set, in order, and what the ids become.

    What is done to pixels (see `pixel_marks`) counts as well; paths play no part.
    """
    named = zip(rows["id"], rows["content"], rows["label_content"], pixel_marks(rows, orientation), strict=True)
    text = "\n".join([label_map.digest, *(f"{scene}|{own}|{label}{marks}" for scene, own, label, marks in named)])
    return hashlib.sha256(text.encode()).hexdigest()[:20]
