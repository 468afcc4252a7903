"""The data of the paper's multi-class benchmarks that anybody can fetch without an account.

Checksums are those that torchvision demands of the same archives. Nobody publishes one of LSUN's.
"""

from __future__ import annotations

from scaling_ood.downloads import arranging
from scaling_ood.downloads.source import Expected, Source

_PLACES_TERMS = "Places365: the images are for research only (http://places2.csail.mit.edu/download.html)."

PAPER: tuple[Source, ...] = (
    Source(
        name="places365/filelist",
        url="http://data.csail.mit.edu/places/places365/filelist_places365-standard.tar",
        checksum="md5:35a0585fee1fa656440f3ab298f8479c",
        terms=_PLACES_TERMS,
        arrange=arranging.arrange_places365_lists,
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
        arrange=arranging.arrange_places365_val,
        expected=(Expected("Places365_val_*.jpg", 36_500, "validation photographs"),),
    ),
    Source(
        name="dtd",
        url="https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
        checksum="md5:fff73e5086ae6bdbea199a49dfb8a4c1",
        terms="Describable Textures Dataset: for research purposes (https://www.robots.ox.ac.uk/~vgg/data/dtd).",
        arrange=arranging.arrange_dtd,
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
        arrange=arranging.arrange_lsun_test,
        expected=(Expected("test_lmdb/data.mdb", 1, "database of the test photographs"),),
    ),
    Source(
        name="cifar10",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        checksum="md5:c58f30108f718f92721af3b95e74349a",
        terms="CIFAR-10 states no licence (https://www.cs.toronto.edu/~kriz/cifar.html).",
        arrange=arranging.arrange_cifar10,
        expected=(
            Expected("cifar-10-batches-py/data_batch_?", 5, "batches of training images"),
            Expected("cifar-10-batches-py/test_batch", 1, "batch of test images"),
            Expected("cifar-10-batches-py/batches.meta", 1, "list of the classes"),
        ),
    ),
)
