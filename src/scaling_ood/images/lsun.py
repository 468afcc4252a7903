"""LSUN: one LMDB database per category and split, and one for the unlabelled test set."""

from __future__ import annotations

import re
from pathlib import Path

from scaling_ood.images.containers import inside
from scaling_ood.images.folders import EmptyClassError, subfolders
from scaling_ood.images.listing import LAYOUTS, Entry, Wanted
from scaling_ood.images.lmdb_images import list_keys
from scaling_ood.storage import refuse_store
from scaling_ood.wording import listed

_DATABASE = re.compile(r"(?:(?P<category>\w+)_)?(?P<split>train|val|test)_lmdb")


@LAYOUTS.reader("lsun", "test_lmdb/, <category>_{train,val}_lmdb/", ["test_lmdb", "*_train_lmdb", "*_val_lmdb"])
def _lsun(root: Path, wanted: Wanted) -> list[Entry]:
    """LSUN: `test_lmdb/` and `<category>_{train,val}_lmdb/`, whose keys name the images."""
    refuse_store(root, "databases are read")
    databases = [(folder, match) for folder in subfolders(root) if (match := _DATABASE.fullmatch(folder.name))]
    if not databases:
        raise FileNotFoundError(f"no database test_lmdb or <category>_val_lmdb in {root}")
    entries, empty = [], []
    for folder, match in databases:
        if not wanted.split(match["split"]):
            continue
        keys = list_keys(str(folder))
        if not keys:
            empty.append(folder.name)
        entries += [Entry(inside(folder.name, key), match["split"], match["category"] or "") for key in keys]
    if empty:
        raise EmptyClassError(f"{len(empty)} databases of {root.name} hold no image: {listed(empty)}")
    return entries
