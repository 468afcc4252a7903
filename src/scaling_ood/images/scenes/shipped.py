"""Label maps that ship with the readers: one per table, and variants without the unlabelled pixels."""

from __future__ import annotations

from typing import cast

from scaling_ood.images.scenes.labels import LabelMap, LabelRow, Role
from scaling_ood.images.scenes.tables import label_table, label_table_names
from scaling_ood.images.wording import unknown

MASKED = {"streethazards": "unlabeled", "bdd_anomaly": "other", "bdd100k": "other"}
"""Tables without void, and their class of unlabelled pixels, which `<table>_masked` makes void."""


def label_map_names() -> list[str]:
    """Every map that ships: the tables, and the variants that mask unlabelled pixels."""
    return sorted([*label_table_names(), *(f"{table}_masked" for table in MASKED)])


def label_map(name: str) -> LabelMap:
    """A map that ships.

    Raises:
        ValueError: Unknown name; says the nearest match and all known ones.

    >>> label_map("camvid_anomaly").classes[:4]
    ('Sky', 'Building', 'Pole', 'Road')
    >>> label_map("bdd_anomaly_masked").ids("void")
    [1]
    """
    if name not in label_map_names():
        raise ValueError(unknown("label map", name, label_map_names()))
    table = name.removesuffix("_masked")
    rows = [
        LabelRow(
            int(row["raw_id"]),
            row["name"],
            (int(row["red"]), int(row["green"]), int(row["blue"])),
            cast(Role, row["role"]),
            int(row["train_id"]) if row["train_id"] else None,
        )
        for row in label_table(table)
    ]
    whole = LabelMap.from_rows(table, rows)
    return whole if name == table else whole.masking(name, MASKED[table])
