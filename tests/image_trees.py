"""Photographs of chance in the official layouts of the paper's multi-class data: all folders, tiny images."""

import io
import pickle
import zlib
from collections.abc import Iterable
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image

from scaling_ood.images import Entry
from scaling_ood.images.class_lists import class_list
from scaling_ood.images.counts import expected_counts

SIDE_PX = 40
PLACES_CLASSES = 365
SUPERCATEGORIES = tuple(expected_counts().query("data_set == 'species'")["part"])


def images_of(entries: Iterable[Entry]) -> list[Entry]:
    """Without the files that are left out."""
    return [entry for entry in entries if not entry.left_out]


class Tree:
    """A data set that is written file by file."""

    def __init__(self, root: Path) -> None:
        """Begin with nothing."""
        self.root = root
        # Of its own for each data set: two must not hold the same photographs.
        self.random = np.random.default_rng(zlib.crc32(root.name.encode()))

    def photograph(self, path: str) -> None:
        """One JPEG of chance."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self.jpeg())

    def jpeg(self) -> bytes:
        """The bytes of one."""
        written = io.BytesIO()
        Image.fromarray(self.random.integers(0, 256, (SIDE_PX, SIDE_PX + 8, 3), dtype=np.uint8)).save(written, "JPEG")
        return written.getvalue()

    def text(self, path: str, lines: list[str]) -> None:
        """A list."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(f"{line}\n" for line in lines))


def imagenet(root: Path, per_class: int) -> None:
    """ILSVRC 2012: a folder per class; two of the thousand."""
    tree = Tree(root)
    for wnid in ("n01440764", "n15075141"):
        for number in range(per_class):
            tree.photograph(f"val/{wnid}/ILSVRC2012_val_{wnid[-3:]}{number:05d}.JPEG")


def imagenet_21k_p(root: Path, per_class: int) -> None:
    """ImageNet-21K-P: two classes of the head's 11,221, the last one among them."""
    tree = Tree(root)
    known = class_list("imagenet_21k_p", root)
    for wnid in (known[7], known[-1]):
        for number in range(per_class):
            tree.photograph(f"imagenet21k_resized/imagenet21k_val/{wnid}/{wnid}_{number}.JPEG")


def places365(root: Path, per_class: int) -> None:
    """Places365-Standard: the flat small validation images, and lists of which two classes have images."""
    tree = Tree(root)
    names = [f"/{chr(97 + number * 26 // PLACES_CLASSES)}/scene_{number:03d}" for number in range(PLACES_CLASSES)]
    tree.text("categories_places365.txt", [f"{name} {number}" for number, name in enumerate(names)])
    lines = [f"Places365_val_{number:08d}.jpg {364 * (number % 2)}" for number in range(2 * per_class)]
    tree.text("places365_val.txt", lines)
    for line in lines:
        tree.photograph(f"val_256/{line.split()[0]}")


def places69(root: Path, images: int) -> None:
    """Places-Extra69: folders by letter."""
    tree = Tree(root)
    tree.text("categories_extra69.txt", ["/a/abbey 0", "/z/zen_garden 1"])
    lines = [f"/z/zen_garden/{number:08d}.jpg 1" for number in range(images)]
    tree.text("extra69_test.txt", lines)
    for line in lines:
        tree.photograph(f"data_256_extra{line.split()[0]}")


def dtd(root: Path, images: int) -> None:
    """DTD: images by class, and the lists of its first partition."""
    tree = Tree(root)
    names = [f"banded/banded_{number:04d}.jpg" for number in range(images)]
    for name in names:
        tree.photograph(f"images/{name}")
    for number, split in enumerate(("train", "val", "test")):
        tree.text(f"labels/{split}1.txt", names[number::3])


def lsun(root: Path, images: int) -> None:
    """LSUN: the database of test images."""
    tree = Tree(root)
    root.mkdir(parents=True)
    with lmdb.open(str(root / "test_lmdb"), map_size=1 << 24) as database, database.begin(write=True) as transaction:
        for number in range(images):
            transaction.put(f"{number:040x}".encode(), tree.jpeg())


def species(root: Path, supercategories: dict[str, int], per_class: int) -> None:
    """Species: supercategories with so many species each."""
    tree = Tree(root)
    for supercategory, species_here in supercategories.items():
        for kind in range(species_here):
            for number in range(per_class):
                tree.photograph(f"{supercategory}/Genus species{kind}/{number}.jpg")


def cifar10(root: Path, per_batch: int) -> None:
    """CIFAR-10, Python version."""
    folder, random = root / "cifar-10-batches-py", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        pixels = random.integers(0, 256, (per_batch, 3072), dtype=np.uint8)
        labels = [number % 10 for number in range(per_batch)]
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}, protocol=2))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, protocol=2))
