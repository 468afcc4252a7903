"""The data of the paper's multi-class benchmarks that anybody can fetch without an account.

Checksums are those that torchvision demands of the same archives. Nobody publishes one of LSUN's.
"""

from __future__ import annotations

from scaling_ood.downloads.source import Expected, Source

_PLACES_TERMS = "Places365: the images are for research only (http://places2.csail.mit.edu/download.html)."

PAPER: tuple[Source, ...] = (
    Source(
        name="places365/filelist",
        url="http://data.csail.mit.edu/places/places365/filelist_places365-standard.tar",
        checksum="md5:35a0585fee1fa656440f3ab298f8479c",
        terms=_PLACES_TERMS,
        keep={r"(categories_places365\.txt|places365_(?:train_standard|val|test)\.txt)": r"\1"},
        expected=(
            Expected("categories_places365.txt", 1, "list of the classes"),
            Expected("places365_train_standard.txt", 1, "list of the training images"),
            Expected("places365_val.txt", 1, "list of the validation images"),
            Expected("places365_test.txt", 1, "list of the test images"),
        ),
    ),
    Source(
        name="places365/val_256",
        url="http://data.csail.mit.edu/places/places365/val_256.tar",
        checksum="md5:e27b17d8d44f4af9a78502beb927f808",
        terms=_PLACES_TERMS,
        keep={r"(Places365_val_\d{8}\.jpg)": r"\1"},
        expected=(Expected("Places365_val_*.jpg", 36_500, "validation photographs"),),
    ),
    Source(
        name="dtd",
        url="https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
        checksum="md5:fff73e5086ae6bdbea199a49dfb8a4c1",
        terms="Describable Textures Dataset: for research purposes (https://www.robots.ox.ac.uk/~vgg/data/dtd).",
        # The lists of the first of ten partitions.
        keep={r"(images/[\w-]+/[\w-]+\.jpg|labels/(?:train|val|test)1\.txt)": r"\1"},
        expected=(
            Expected("images/*", 47, "classes"),
            Expected("images/*/*.jpg", 5_640, "photographs"),
            Expected("labels/*1.txt", 3, "lists of splits"),
        ),
    ),
    Source(
        name="lsun",
        url="http://dl.yf.io/lsun/scenes/test_lmdb.zip",
        checksum=None,
        terms="LSUN states no licence (https://github.com/fyu/lsun).",
        # The file of its locks is made anew by who needs it.
        keep={r"(data\.mdb)": r"test_lmdb/\1"},
        expected=(Expected("test_lmdb/data.mdb", 1, "database of the test photographs"),),
    ),
    Source(
        name="cifar10",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        checksum="md5:c58f30108f718f92721af3b95e74349a",
        terms="CIFAR-10 states no licence (https://www.cs.toronto.edu/~kriz/cifar.html).",
        keep={r"(data_batch_[1-5]|test_batch|batches\.meta)": r"cifar-10-batches-py/\1"},
        expected=(
            Expected("cifar-10-batches-py/data_batch_?", 5, "batches of training images"),
            Expected("cifar-10-batches-py/test_batch", 1, "batch of test images"),
            Expected("cifar-10-batches-py/batches.meta", 1, "list of the classes"),
        ),
    ),
)
