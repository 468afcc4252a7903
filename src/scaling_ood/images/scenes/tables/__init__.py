"""Label tables that ship with the readers: what each id of a data set's label images means.

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
from importlib import resources

from scaling_ood.images.wording import unknown

_SUFFIX = ".csv"


def label_table_names() -> list[str]:
    """Every table that ships, in alphabetical order."""
    files = (file.name for file in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))


def label_table(name: str) -> list[dict[str, str]]:
    """Rows of a table as text, in the order of the raw ids.

    Raises:
        ValueError: Unknown table; says the nearest match and all known ones.
    """
    known = label_table_names()
    if name not in known:
        raise ValueError(unknown("label table", name, known))
    with resources.files(__name__).joinpath(name + _SUFFIX).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
