"""Areas and digests against numbers found by hand."""

import math

import pandas as pd
import pytest

from scaling_ood.images.scenes import LabelMap, anomalous_area, scenes_digest

LABELS = LabelMap.from_ids("mine", {0: 0, 1: 1, 8: "anomaly", 9: "void"}, {0: "road", 1: "car", 8: "bike", 9: "void"})


@pytest.fixture
def manifest():
    rows = [
        ("a", "train", "train", "road", 0, "1"),
        ("b", "test", "train", "road;bike", 10, "2"),
        ("c", "test", "val", "road;bike;void", 40, "3"),
        ("d", "test", "val", "bike", 2, "4"),
        ("e", "test", "val", "road", 0, "5"),
    ]
    frame = pd.DataFrame(rows, columns=["id", "image_set", "split", "classes", "anomalous", "content"])
    return frame.assign(height=10, width=20, label_content="", path=frame["id"])


def test_anomalous_area(manifest):
    assert anomalous_area(manifest) == (pytest.approx(52 / 600), 1)
    assert math.isnan(anomalous_area(manifest.head(1)).mean_share)


def test_the_digest_follows_content_order_and_labels_but_no_path(manifest):
    digest = scenes_digest(manifest, LABELS)
    assert len(digest) == 20
    assert scenes_digest(manifest.assign(path="elsewhere"), LABELS) == digest
    others = [
        scenes_digest(manifest.iloc[::-1], LABELS),
        scenes_digest(manifest.assign(content="x"), LABELS),
        scenes_digest(manifest.assign(label_content="x"), LABELS),
        scenes_digest(manifest, LABELS.masking("other", "car")),
    ]
    assert len({digest, *others}) == 5
