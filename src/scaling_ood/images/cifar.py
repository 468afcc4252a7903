"""CIFAR-10, as torchvision downloads it."""

from __future__ import annotations

from pathlib import Path

from scaling_ood.images.cifar_batches import FOLDER, read_batch, read_class_names
from scaling_ood.images.containers import inside
from scaling_ood.images.layouts import LayoutError
from scaling_ood.images.listing import LAYOUTS, Entry, Wanted
from scaling_ood.storage import refuse_store
from scaling_ood.wording import listed

_BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}


@LAYOUTS.reader("cifar10", f"{FOLDER}/{{data_batch_1..5,test_batch,batches.meta}}", [FOLDER])
def _cifar10(root: Path, wanted: Wanted) -> list[Entry]:
    """CIFAR-10, Python version: `cifar-10-batches-py/{data_batch_1..5,test_batch,batches.meta}`."""
    refuse_store(root, "batches of CIFAR-10 are read")
    chosen = {split: batches for split, batches in _BATCHES.items() if wanted.split(split)}
    names = ["batches.meta", *(batch for batches in chosen.values() for batch in batches)]
    missing = [name for name in names if not (root / FOLDER / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{root / FOLDER} lacks {', '.join(missing)}")
    classes = read_class_names(root / FOLDER / "batches.meta")
    entries = []
    for split, batches in chosen.items():
        for batch in batches:
            labels = read_batch(root / FOLDER / batch).labels
            wrong = sorted({str(label) for label in labels if not 0 <= label < len(classes)})
            if wrong:
                raise LayoutError(f"{FOLDER}/{batch}: labels that name none of {len(classes)} classes: {listed(wrong)}")
            entries += [
                Entry(inside(f"{FOLDER}/{batch}", f"{number:05d}"), split, classes[label])
                for number, label in enumerate(labels)
            ]
    return entries
