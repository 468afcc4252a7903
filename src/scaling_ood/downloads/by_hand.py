"""Data and weights that nobody but the user can get: what, from where, on what terms, and where to put it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_IMAGENET_TERMS = (
    "ImageNet's terms of access: non-commercial research and education only; an account is needed "
    "(https://image-net.org/download)"
)


@dataclass(frozen=True)
class ByHand:
    """One data set or file of weights to get by hand.

    Attributes:
        name: Its folder or file below the data root.
        what: What it is, and how much of it.
        where: Which archives, from where.
        terms: Licence or terms of use.
        layout: What lies where, below the data root; a line each.
    """

    name: str
    what: str
    where: str
    terms: str
    layout: tuple[str, ...]

    def message(self, root: Path) -> str:
        """All that the user must know to get it.

        Args:
            root: The data root.
        """
        lines = "".join(f"\n    {line}" for line in self.layout)
        return (
            f"{self.name}: {self.what}. It must be got by hand.\n"
            f"  From: {self.where}\n"
            f"  Terms: {self.terms}\n"
            f"  Lay it out below {root}:{lines}"
        )

    def is_there(self, root: Path) -> bool:
        """Whether something lies in its place; what it is, is checked when it is read."""
        place = root / self.name
        return place.is_file() or (place.is_dir() and any(place.iterdir()))


BY_HAND: tuple[ByHand, ...] = (
    ByHand(
        name="imagenet",
        what="ImageNet-1K (ILSVRC 2012), 50,000 validation images of 1,000 classes",
        where=(
            "https://image-net.org/download: ILSVRC2012_img_val.tar (MD5 29b22e2961454d5413ddabcf34fc5622) and "
            "ILSVRC2012_devkit_t12.tar.gz (MD5 fa75699e90414af021442c21a62c3abf); detectors that need a training set "
            "also want ILSVRC2012_img_train.tar (MD5 1d675b47d978889d74fa0da5fadfb00e). Or Kaggle's "
            "imagenet-object-localization-challenge"
        ),
        terms=_IMAGENET_TERMS,
        layout=(
            "imagenet/val/<wnid>/*.JPEG      or flat: imagenet/val/ILSVRC2012_val_<number>.JPEG, with",
            "imagenet/ILSVRC2012_devkit_t12/ or Kaggle's imagenet/LOC_val_solution.csv",
            "imagenet/train/<wnid>/*.JPEG    where a training set is needed",
        ),
    ),
    ByHand(
        name="imagenet21k",
        what=(
            "ImageNet-21K-P, 522,500 validation images of 10,450 classes (winter21), or 561,052 of 11,221 (fall11, "
            "made from the whole ImageNet-21K with the scripts of https://github.com/Alibaba-MIIL/ImageNet21K)"
        ),
        where="https://image-net.org/download: the processed version of ImageNet-21K, winter21",
        terms=_IMAGENET_TERMS,
        layout=("imagenet21k/imagenet21k_val/<wnid>/*", "imagenet21k/imagenet21k_train/<wnid>/*    where it is needed"),
    ),
    ByHand(
        name="places69",
        what="Places-Extra69, 6,600 test images of 69 scene classes that are not in Places365",
        where=(
            "http://places2.csail.mit.edu/download.html: the small images (data_256_extra) and the lists of "
            "Places-Extra69"
        ),
        terms="As Places365: the images are for research only",
        layout=(
            "places69/data_256_extra/<letter>/<class>/*.jpg",
            "places69/extra69_test.txt, places69/extra69_train.txt, places69/categories_extra69.txt",
        ),
    ),
    ByHand(
        name="species",
        what="Species, 714,379 images of 1,316 species in ten supercategories (the paper, Table 7)",
        where=(
            "https://drive.google.com/drive/folders/1j6l7jfGbKL5P5acwKVyktn4y8bWSTeAJ (linked from "
            "https://github.com/hendrycks/anomaly-seg): an archive per supercategory. The host limits downloads; try "
            "again later where it refuses"
        ),
        terms="none stated; images from iNaturalist, each under its photographer's licence",
        layout=("species/<supercategory>/<species>/*",),
    ),
    ByHand(
        name="weights/resnet50_places365.pth.tar",
        what="the ResNet-50 of Places365, by its authors",
        where="http://places2.csail.mit.edu/models_places365/resnet50_places365.pth.tar",
        terms="CC BY (https://github.com/CSAILVision/places365)",
        layout=("weights/resnet50_places365.pth.tar    as it is: it is no tar",),
    ),
)
