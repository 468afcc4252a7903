"""Class tables that ship with the readers: what a data set's classes are called, and which of them belong together.

`tiny_imagenet`: the 200 classes of Tiny-ImageNet by synset. `group` is `animal` or `object`; `near` splits the animals
into 45 `known` and 14 `held_out` ones (every fourth, by synset) for near-OOD benchmarks, and is missing for objects.
`imagenet_1k`: the 1,000 classes of ILSVRC 2012 in the order of the published heads' outputs; two names, crane and
maillot, stand for two classes each.
`multi_label_ood`: the 20 classes of ImageNet's full set that the paper holds against PASCAL VOC and MS-COCO (appendix
A). `name` is WordNet's, `paper_name` the paper's, with its spelling: n12285512 is an alder, no redwood. Those with
`imagenet_21k_p` = `no` are not in ImageNet-21K-P, neither the fall 2011 nor the winter 2021 release.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

import pandas as pd

from scaling_ood.registry import Registry

_SUFFIX = ".csv"


def shipped_tables(kind: str, package: str) -> Registry[Traversable]:
    """The CSV files of a package, by name without ending; `kind` is what errors call one."""
    files = (file for file in resources.files(package).iterdir() if file.name.endswith(_SUFFIX))
    return Registry(kind, {file.name.removesuffix(_SUFFIX): file for file in files})


CLASS_TABLES = shipped_tables("class table", __name__)


def class_table(name: str) -> pd.DataFrame:
    """One row per class, in the order of the class indices.

    Args:
        name: One of `CLASS_TABLES`.

    Returns:
        Columns of text: `wnid` (unique), `name` (the first synonym), and the table's own ones.

    Raises:
        ValueError: Unknown table; says the nearest match and all known ones.

    >>> class_table("tiny_imagenet")["group"].value_counts().to_dict()
    {'object': 141, 'animal': 59}
    """
    with CLASS_TABLES[name].open(encoding="utf-8") as file:
        # Only an empty field is missing: no class name shall ever be taken for a missing value.
        return pd.read_csv(file, dtype=str, keep_default_na=False, na_values=[""])
