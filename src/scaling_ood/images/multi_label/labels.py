"""Labels of an image that may be of several classes at once, as a manifest holds them and as a network wants them.

A manifest has a column `labels`: the indices of the classes in the image, ascending, joined by `;`. It is empty for an
image that shows none of the classes, and missing (None) for one whose classes nobody says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_ood.wording import listed


def join_labels(labels: Iterable[int] | None) -> str | None:
    """Labels as a manifest holds them.

    >>> join_labels([0, 14]), join_labels([]), join_labels(None)
    ('0;14', '', None)
    """
    return None if labels is None else ";".join(map(str, sorted(labels)))


def is_labelled(manifest: pd.DataFrame) -> pd.Series:
    """Whether anybody says which classes each image shows; none of them is an answer too."""
    return manifest["labels"].notna()


def targets(manifest: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.uint8]:
    """Multi-hot vectors: (N, C) uint8, 1 where the image shows the class.

    Args:
        manifest: N rows with `id` and `labels`.
        classes: C names, in the order of the class indices.

    Raises:
        ValueError: Unlabelled images, whose target would not be zero but absent, or labels that are no ascending
            indices of these classes; names the first of each.

    >>> rows = pd.DataFrame({"id": ["a", "b"], "labels": ["0;2", ""]})
    >>> targets(rows, ["ant", "bee", "cow"]).tolist()
    [[1, 0, 1], [0, 0, 0]]
    """
    absent = manifest.loc[~is_labelled(manifest), "id"]
    if len(absent):
        raise ValueError(f"{len(absent):,} of {len(manifest):,} images have no labels: {listed(list(absent))}")
    hot = np.zeros((len(manifest), len(classes)), np.uint8)
    wrong = []
    for row, (name, text) in enumerate(zip(manifest["id"], manifest["labels"], strict=True)):
        indices = [int(index) for index in text.split(";")] if text else []
        if indices != sorted(set(indices)) or not set(indices) <= set(range(len(classes))):
            wrong.append(f"{name}: '{text}'")
        else:
            hot[row, indices] = 1
    if wrong:
        raise ValueError(f"labels that are no ascending indices of {len(classes)} classes: {listed(wrong)}")
    return hot


def images_per_class(manifest: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """In how many of the labelled images each class appears.

    Args:
        manifest: Rows with `id`, `labels` and `image_set`.
        classes: Names, in the order of the class indices.

    Returns:
        `name`, and one column of counts for each role that has labelled images; in the order of the classes.
    """
    labelled = manifest[is_labelled(manifest)]
    by_role = labelled.groupby("image_set", sort=False)
    counts = {str(role): targets(rows, classes).sum(axis=0, dtype=int) for role, rows in by_role}
    return pd.DataFrame({"name": list(classes), **counts})
