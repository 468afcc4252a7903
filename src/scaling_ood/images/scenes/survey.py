"""What every label image holds: one look at each file, many at a time, the photographs not needed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from scaling_ood.images.checks import Check, check_image
from scaling_ood.images.exif import SIDEWAYS, Orientation
from scaling_ood.images.manifest import LEFT_OUT, refuse_too_many
from scaling_ood.images.recorded import stamps
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
    "orientation",
    "bits",
    "bytes",
    "modified_ns",
    "label_bytes",
    "label_modified_ns",
    "look",
)
"""Columns of a table of scenes.

`id` is `<data set>/<split>/<key>`; paths are relative to the data set's folder, `path` is empty where the photograph is
not there; `height` and `width` are the label image's, in pixels; `anomalous` and `void` count pixels; `classes` names
what is in the image, anomalies and void included, joined by `;` in the order of the label map; `content` and
`label_content` are fingerprints of the two files' bytes; `orientation` is EXIF's, 2 to 8, of a photograph that is
stored turned or mirrored, and 1 of all others; `bits` is 16 of a grey photograph that was scaled to 8; `bytes` and
`modified_ns` are size and time of the photograph's last change (-1 where there is none), and `label_…` the label
image's; `look` is the photograph's perceptual hash, empty where none was asked for.
"""


def survey(
    data_set: str,
    scenes: Sequence[Scene],
    folder: Path,
    label_map: LabelMap,
    workers: int = 2,
    orientation: Orientation | None = None,
    looks: bool = False,
) -> pd.DataFrame:
    """One row per scene with `COLUMNS` and `problem`, in the scenes' order.

    Args:
        data_set: Its name, which starts every id.
        scenes: From `list_scenes`.
        folder: The data set's own folder.
        label_map: What the ids mean.
        workers: Files that are read at a time.
        looks: Whether photographs get a perceptual hash.
        orientation: What a person says of photographs with an EXIF orientation: the labels fit them as `stored`, or
            `upright`. None: nothing is known, and such a scene cannot be used.

    Returns:
        `problem` says why an image cannot be used: unreadable files, ids outside the label map, sizes that differ,
        nothing but void, an EXIF orientation. It is empty for a good one.
    """

    def look(scene: Scene) -> tuple[object, ...]:
        return _row(data_set, scene, folder, label_map, orientation, looks)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        rows = list(pool.map(look, scenes))
    return pd.DataFrame(rows, columns=[*COLUMNS, "problem"])


def set_apart(table: pd.DataFrame, most: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The usable scenes without `problem`, and the others as `LEFT_OUT`.

    Args:
        table: From `survey`.
        most: Largest tolerated share of unusable images.

    Raises:
        TooManyUnreadableError: The share is larger; names the first ten.
    """
    bad = table[table["problem"] != ""]
    refuse_too_many(bad, len(table), most, "labelled images cannot be used")
    good = table[table["problem"] == ""].drop(columns="problem").reset_index(drop=True)
    return good, bad[list(LEFT_OUT)].reset_index(drop=True)


def _row(
    data_set: str, scene: Scene, folder: Path, label_map: LabelMap, orientation: Orientation | None, looks: bool
) -> tuple[object, ...]:
    # Before anything is read: whatever changes from here on has another time.
    paths = [str(folder / path) if path else "" for path in (scene.path, scene.label_path)]
    photograph_stamp, label_stamp = stamps(paths, 1)
    count = count_labels(folder / scene.label_path)
    check = check_image(folder / scene.path, looks) if scene.path else Check()
    by_train_id = np.bincount(label_map.lookup, weights=count.pixels, minlength=ANOMALY + 2).astype(np.int64)
    present = [row.name for row in label_map.rows if count.pixels[row.raw_id]]
    problem = _label_problem(count, label_map) or (_misfit(check, count, orientation) if scene.path else "")
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
        check.digest,
        count.digest,
        check.orientation,
        check.bits,
        *photograph_stamp,
        *label_stamp,
        check.look,
        problem,
    )


def _label_problem(count: LabelCount, label_map: LabelMap) -> str:
    if count.problem:
        return f"label image {count.problem}"
    strange = label_map.unknown_ids(np.flatnonzero(count.pixels).tolist())
    if strange:
        return label_map.complaint(strange)
    if count.pixels[label_map.ids("void")].sum() == count.height * count.width:
        return "every pixel is void"
    return ""


def _misfit(check: Check, count: LabelCount, orientation: Orientation | None) -> str:
    """What is wrong with a photograph, or with how its label image lies on it."""
    if check.problem:
        return f"photograph: {check.problem}"
    if orientation != "stored" and count.orientation > 1:
        return f"label image has an EXIF orientation of its own ({count.orientation}): store it as it is to be read"
    if orientation is None and check.orientation > 1:
        return (
            f"photograph has EXIF orientation {check.orientation}: its label image may be drawn the other way "
            "round. Look at both, then set data.orientation to `upright` (labels fit the photograph as EXIF turns "
            "it) or to `stored` (as its pixels lie in the file)"
        )
    if orientation != "upright" and check.turned > 1:
        return (
            f"photograph is a TIFF with EXIF orientation {check.turned}, which is turned wherever it is read: its "
            "label image may be drawn the other way round. Look at both, then set data.orientation to `upright` ("
            "labels fit the photograph as it is seen), or store it without the tag"
        )
    size = check.size
    if orientation == "upright" and check.orientation >= SIDEWAYS:
        size = size[::-1]
    if count.problem or size == (count.width, count.height):
        return ""
    turned = f" ({orientation}, EXIF orientation {check.orientation})" if check.orientation > 1 else ""
    return f"photograph of {size[0]} x {size[1]} px{turned}, but its label image has {count.width} x {count.height}"
