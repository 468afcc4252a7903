"""Label maps that ship with the readers: what each id of a data set's label images means.

One CSV per data set: `raw_id` (the value in the PNG), `name`, `red`, `green`, `blue` (for figures), `role` (`class`,
`anomaly` or `void`) and `train_id` (the network's output, for classes only).

`streethazards`: ids 1..14, 14 is the anomaly; ids, names and colours of hendrycks/anomaly-seg, `create_dataset.py`.
`bdd_anomaly`: the released `train_labels`, BDD100K's ids plus 2 with 255 as 1. `bdd100k`: the plain ids 0..18 and 255.
Both give the same train ids: 0 other, 1..16; train, motorcycle and bicycle are anomalies. Colours: Cityscapes.
`fishyscapes_lost_and_found`, `road_anomaly`, `road_anomaly_binary`: evaluation only, so there is one class,
`in-distribution`. In RoadAnomaly's own labels 1 is road and 2 anomalous: its authors' code (`DatasetRoadAnomaly`) takes
ids from 2 on. The binary table is for copies that were converted to 0 and 1.
`camvid_anomaly`: SegNet's 11 classes of CamVid with Bicyclist as the anomaly; 11 is void.
"""

from __future__ import annotations

import csv
from typing import cast

from scaling_ood.images.scenes.labels import LabelMap, LabelRow, Role
from scaling_ood.images.tables import shipped_tables
from scaling_ood.wording import refuse_unknown

LABEL_TABLES = shipped_tables("label table", __name__)

MASKED = {"streethazards": "unlabeled", "bdd_anomaly": "other", "bdd100k": "other"}
"""Tables without void, and their class of unlabelled pixels, which `<table>_masked` makes void."""


def label_map_names() -> list[str]:
    """Every map that ships: the tables, and the variants that mask unlabelled pixels."""
    return sorted([*LABEL_TABLES, *(f"{table}_masked" for table in MASKED)])


def label_map(name: str) -> LabelMap:
    """A map that ships.

    Raises:
        ValueError: Unknown name; says the nearest match and all known ones.

    >>> label_map("camvid_anomaly").classes[:4]
    ('Sky', 'Building', 'Pole', 'Road')
    >>> label_map("bdd_anomaly_masked").ids("void")
    [1]
    """
    refuse_unknown("label map", [name], label_map_names())
    table = name.removesuffix("_masked")
    with LABEL_TABLES[table].open(encoding="utf-8") as file:
        rows = [
            LabelRow(
                int(row["raw_id"]),
                row["name"],
                (int(row["red"]), int(row["green"]), int(row["blue"])),
                cast(Role, row["role"]),
                int(row["train_id"]) if row["train_id"] else None,
            )
            for row in csv.DictReader(file)
        ]
    whole = LabelMap.from_rows(table, rows)
    return whole if name == table else whole.masking(name, MASKED[table])
