"""What every label image holds: one look at each file, many at a time, the photographs not needed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from scaling_ood.images.checks import check_image
from scaling_ood.images.manifest import TooManyUnreadableError
from scaling_ood.images.scenes.labels import ANOMALY, VOID, LabelMap
from scaling_ood.images.scenes.pairing import Scene
from scaling_ood.images.scenes.reading import LabelCount, count_labels

COLUMNS = (
    "id",
    "path",
    "label_path",
    "split",
    "sequence",
    "data_set",
    "height",
    "width",
    "anomalous",
    "void",
    "classes",
    "content",
    "label_content",
)
"""Columns of a table of scenes.

`id` is `<data set>/<split>/<key>`; paths are relative to the data set's folder, `path` is empty where the photograph is
not there; `height` and `width` are the label image's, in pixels; `anomalous` and `void` count pixels; `classes` names
what is in the image, anomalies and void included, joined by `;` in the order of the label map; `content` and
`label_content` are fingerprints of the two files' bytes.
"""


def survey(data_set: str, scenes: Sequence[Scene], folder: Path, labels: LabelMap, workers: int = 2) -> pd.DataFrame:
    """One row per scene with `COLUMNS` and `problem`, in the scenes' order.

    Args:
        data_set: Its name, which starts every id.
        scenes: From `list_scenes`.
        folder: The data set's own folder.
        labels: What the ids mean.
        workers: Files that are read at a time.

    Returns:
        `problem` says why an image cannot be used: unreadable files, ids outside the label map, sizes that differ,
        nothing but void. It is empty for a good one.
    """

    def look(scene: Scene) -> tuple[object, ...]:
        return _row(data_set, scene, folder, labels)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        rows = list(pool.map(look, scenes))
    return pd.DataFrame(rows, columns=[*COLUMNS, "problem"])


def set_apart(table: pd.DataFrame, most: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The usable scenes without `problem`, and the others as `id`, `data_set`, `path`, `problem`.

    Args:
        table: From `survey`.
        most: Largest tolerated share of unusable images.

    Raises:
        TooManyUnreadableError: The share is larger; names the first ten.
    """
    bad = table[table["problem"] != ""]
    if len(bad) > most * len(table):
        listed = "; ".join(f"{row.id}: {row.problem}" for row in bad.head(10).itertuples())
        raise TooManyUnreadableError(
            f"{len(bad):,} of {len(table):,} labelled images cannot be used, more than the tolerated share of "
            f"{most:g} (data.most_unreadable): {listed}"
        )
    good = table[table["problem"] == ""].drop(columns="problem").reset_index(drop=True)
    return good, bad[["id", "data_set", "path", "problem"]].reset_index(drop=True)


def _row(data_set: str, scene: Scene, folder: Path, labels: LabelMap) -> tuple[object, ...]:
    count = count_labels(folder / scene.label_path)
    content, size_problem = _photograph(folder, scene, count)
    by_train_id = np.bincount(labels.lookup, weights=count.pixels, minlength=ANOMALY + 2).astype(np.int64)
    present = [row.name for row in labels.rows if count.pixels[row.raw_id]]
    problem = _label_problem(count, labels) or size_problem
    return (
        f"{data_set}/{scene.split}/{scene.key}",
        scene.path,
        scene.label_path,
        scene.split,
        scene.sequence,
        data_set,
        count.height,
        count.width,
        int(by_train_id[ANOMALY]),
        int(by_train_id[VOID]),
        ";".join(present),
        content,
        count.digest,
        problem,
    )


def _label_problem(count: LabelCount, labels: LabelMap) -> str:
    if count.problem:
        return f"label image {count.problem}"
    strange = labels.unknown_ids(np.flatnonzero(count.pixels).tolist())
    if strange:
        return labels.complaint(strange)
    if count.pixels[labels.ids("void")].sum() == count.height * count.width:
        return "every pixel is void"
    return ""


def _photograph(folder: Path, scene: Scene, count: LabelCount) -> tuple[str, str]:
    """Fingerprint of the photograph and what is wrong with it; both empty where there is none."""
    if not scene.path:
        return "", ""
    path = folder / scene.path
    check = check_image(path)
    if check.problem:
        return check.digest, f"photograph: {check.problem}"
    with Image.open(path) as image:
        width, height = image.size
    if count.problem or (height, width) == (count.height, count.width):
        return check.digest, ""
    return check.digest, f"photograph of {width} x {height} px, but its label image has {count.width} x {count.height}"
