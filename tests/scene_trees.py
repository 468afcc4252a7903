"""Labelled scenes of chance in the official layouts: every folder, every name, tiny images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (32, 48)
"""Height and width in pixels."""


class Tree:
    """A data set that is written file by file."""

    def __init__(self, root: Path) -> None:
        """Begin with nothing."""
        self.root = root
        self.random = np.random.default_rng(0)

    def scene(self, image: str, label: str, ids: Sequence[int], anomaly: int | None = None) -> None:
        """One photograph and its label image: blocks of those ids, and a corner of anomalous pixels."""
        rows = self.random.choice(list(ids), (SIZE[0] // 8, SIZE[1] // 8))
        values = np.kron(rows, np.ones((8, 8))).astype(np.uint8)
        if anomaly is not None:
            values[:5, :7] = anomaly
        pixels = self.random.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        for path, content in ((image, pixels), (label, values)):
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(place)


def streethazards(root: Path) -> None:
    """Two archives with `images` and `annotations`, by town."""
    tree = Tree(root)
    parts = {"train/{}/training/t1": 4, "train/{}/validation/t4": 2, "test/{}/test/t6": 3}
    for place, count in parts.items():
        for number in range(count):
            names = [f"{place.format(kind)}/{number + 1}.png" for kind in ("images", "annotations")]
            tree.scene(names[0], names[1], range(1, 14), 14 if place.startswith("test") else None)


def bdd_anomaly(root: Path) -> None:
    """The released labels beside BDD100K's photographs; what holds an anomaly becomes test whatever its split."""
    tree = Tree(root)
    for split, count, anomalous in (("train", 5, 1), ("val", 4, 2)):
        for number in range(count):
            name = f"{split}{number:04x}-{number:08x}"
            label = f"seg/train_labels/{split}/{name}_train_id.png"
            tree.scene(f"images/10k/{split}/{name}.jpg", label, range(1, 18), 19 if number < anomalous else None)


def fishyscapes_lost_and_found(root: Path) -> None:
    """Labels by number, photographs of Lost & Found by split and scene."""
    tree = Tree(root)
    for number, split in enumerate(("train", "test", "test")):
        name = f"04_Maurener_Weg_8_000000_0000{number}0"
        label = f"fishyscapes_lostandfound/{number:04d}_{name}_labels.png"
        tree.scene(f"leftImg8bit/{split}/04_Maurener_Weg_8/{name}_leftImg8bit.png", label, (0, 255), 1)


def road_anomaly(root: Path) -> None:
    """One folder of frames, each with a folder of labels beside it."""
    tree = Tree(root)
    for name in ("animals01", "boat02", "rocks03"):
        tree.scene(f"frames/{name}.jpg", f"frames/{name}.labels/labels_semantic.png", (0, 1), 2)


def own_folders(root: Path) -> None:
    """Cityscapes' manner: suffixes on both sides, train ids from 0, 255 void, and an anomaly of our own."""
    tree = Tree(root)
    for split, count, anomaly in (("train", 4, None), ("val", 2, None), ("odd", 2, 9)):
        for number in range(count):
            name = f"{split}/aachen/aachen_{number:06d}"
            label = f"gtFine/{name}_gtFine_labelTrainIds.png"
            tree.scene(f"leftImg8bit/{name}_leftImg8bit.png", label, (0, 1, 255), anomaly)
