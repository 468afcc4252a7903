"""A benchmark of each setting that is prepared, trained and scored in a blink: its files, and its YAML."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from coco_documents import coco_document
from PIL import Image
from scene_toys import HALF, TinyEncoder
from toy_networks import TOY, TOY_NETWORK

from scaling_ood.models import ARCHITECTURES
from scaling_ood.models.segmentation.registry import SEGMENTERS, Segmenter

COLOURS = {
    "blue_dark": (10, 10, 120),
    "blue_light": (90, 90, 250),
    "red_dark": (120, 10, 10),
    "red_light": (250, 90, 90),
}
"""Classes of the multi-class toy; the first word is their group."""
GREENS = {"green_dark": (10, 120, 10), "green_light": (90, 250, 90)}
CATEGORIES = {7: "cow", 1: "bee", 3: "ant"}
"""COCO's ids, in no order: classes are those of ascending ids, so bee, ant and cow."""
SHOWN = {1: (150, 0, 0), 3: (0, 150, 0), 7: (0, 0, 150)}
"""What a category adds to the colour of an image."""
SPLITS = {"train2017": 20, "val2017": 25}
UNLABELLED = 6
"""Photographs of the split test, whose annotations are not published."""
ROLES = {"train": "train", "val": "validation", "test": "test"}
"""Splits of the scenes, and what their scenes are for."""
SCENES = {"train": 4, "val": 3, "test": 3}
IDS = {0: 0, 1: 1, 9: "anomaly", 255: "void"}
TRAINED = {"epochs": 3, "batch_images": 6, "learning_rate": 0.05, "seeds": [0, 1]}


class Toy(NamedTuple):
    """One setting's benchmark.

    Attributes:
        parameters: What the YAML would say of the setting.
        sizes: Image set to its number of images.
        photographs: Of three images of different sets: one to fit or train on, one to test, one more of the test.
        shared: The network that all detectors read.
    """

    parameters: dict[str, Any]
    sizes: dict[str, int]
    photographs: tuple[str, str, str]
    shared: str


@contextmanager
def registered() -> Iterator[None]:
    """Have the toys' networks in the registries: `toy`, `toy_network` (without published weights), `pspnet_toy`."""
    with pytest.MonkeyPatch.context() as registry:
        registry.setitem(ARCHITECTURES, "toy", TOY)
        registry.setitem(ARCHITECTURES, "toy_network", TOY_NETWORK)
        registry.setitem(SEGMENTERS, "pspnet_toy", Segmenter(_tiny, preprocessing=HALF))
        yield


def _tiny(_pretrained: bool) -> TinyEncoder:
    return TinyEncoder()


def grainy(path: Path, colour: Any, seed: Any, size: tuple[int, int] = (10, 12)) -> None:
    """An image of one colour, 12 x 10 pixels unless said otherwise, with grain that no other has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grain = np.random.default_rng(seed).normal(0, 12, (*size, 3))
    Image.fromarray(np.clip(np.asarray(colour) + grain, 0, 255).astype(np.uint8)).save(path)


def folders(root: Path, per_class: int, classes: dict[str, Any], seed: int = 0) -> None:
    """`<root>/<class>/<number>.png`, each class of its colour."""
    for index, (name, colour) in enumerate(classes.items()):
        for number in range(per_class):
            grainy(root / name / f"{number:03d}.png", colour, [seed, index, number])


def write_multi_class(root: Path) -> None:
    """`squares` of four classes, `greens` of two others."""
    folders(root / "squares", 12, COLOURS)
    folders(root / "greens", 4, GREENS, 1)


def write_multi_label(root: Path) -> None:
    """`coco` with boxes for train and val, none for test; `wild` with two folders of colours that no class has."""
    annotations = root / "coco/annotations"
    annotations.mkdir(parents=True)
    for seed, (split, size) in enumerate(SPLITS.items()):
        shown = {number: kinds_shown(number) for number in range(size)}
        boxes = [(number, kind) for number, kinds in shown.items() for kind in kinds]
        # An image of the last kind twice, and a crowd that is all there is of the first one in an image.
        boxes += [(7, 7), (8, 1, True)]
        document = coco_document({number: f"{number:03d}.png" for number in shown}, boxes, CATEGORIES)
        (annotations / f"instances_{split}.json").write_text(json.dumps(document))
        for number, kinds in shown.items():
            drawn = kinds | {1} if number == 8 else kinds
            grainy(root / f"coco/{split}/{number:03d}.png", _sum_of(drawn), [seed, number])
    names = coco_document({number: f"{number:03d}.png" for number in range(UNLABELLED)}, [], {})
    (annotations / "image_info_test2017.json").write_text(json.dumps({"images": names["images"]}))
    for number in range(UNLABELLED):
        grainy(root / f"coco/test2017/{number:03d}.png", _sum_of(kinds_shown(number)), [2, number])
    folders(root / "wild", 4, {"n02508213": (250, 250, 80), "n02139199": (90, 90, 90)}, 3)


def kinds_shown(number: int) -> set[int]:
    """Category ids of an image: every combination in turn, none of them included."""
    return {kind for bit, kind in enumerate(SHOWN) if number >> bit & 1}


def _sum_of(kinds: set[int]) -> Any:
    return 40 + sum((np.array(SHOWN[kind]) for kind in sorted(kinds)), np.zeros(3))


def write_segmentation(root: Path) -> None:
    """Bright rectangles on dark ground under a frame of void, of two sizes; the last test scene has no anomaly."""
    for place, (split, count) in enumerate(SCENES.items()):
        for number in range(count):
            random = np.random.default_rng([place, number])
            height, width = (40, 56) if number == 1 else (48, 64)
            ids = np.zeros((height, width), np.uint8)
            top, left = random.integers(0, height // 2), random.integers(8, width // 2)
            ids[top : top + height // 2, left : left + width // 2] = 1
            shown = 60 + 120 * (ids == 1)[..., None] * np.ones(3)
            if split == "test" and number < count - 1:
                ids[30:38, 2 : 14 + number] = 9
                shown[ids == 9] = (250, 10, 250)
            ids[:, :2] = 255
            pixels = np.clip(shown + random.normal(0, 15, shown.shape), 0, 255).astype(np.uint8)
            for kind, content in (("photos", pixels), ("masks", ids)):
                path = root / f"street/{kind}/{split}/{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(content).save(path)


WRITERS = {"multi_class": write_multi_class, "multi_label": write_multi_label, "segmentation": write_segmentation}

LIBRARY = {
    "squares": {"source": "photographs", "layout": "class_folders", "folder": "squares", "groups": "class_prefix"},
    "greens": {"source": "photographs", "layout": "class_folders", "folder": "greens"},
    "wild": {"source": "photographs", "layout": "class_folders", "folder": "wild"},
    "static": {"source": "noise", "recipe": "gaussian", "images": 6},
    "raw_static": {"source": "noise", "recipe": "rademacher", "images": 6, "noise_range": "tensor"},
}

TOYS = {
    "multi_class": Toy(
        {
            "data": {
                "in_dist": "squares",
                "ood": ["greens", "static", "raw_static"],
                "train": {"split": "all", "per_class": 4},
                "fit": {"split": "all", "per_class": 5},
                "test": {"split": "all"},
            },
            "networks": {
                "classifier": {"architecture": "toy", "weights": "trained_head", **TRAINED},
                "confidence_branch": {"objective": "confidence"},
                "rotation": {"objective": "rotation", "width": 7},
                "dropout": {"dropout": 0.5},
                "families": {"targets": "coarse"},
            },
            "detectors": {
                "rotation_msp": {"method": "msp", "network": "rotation"},
                "families_msp": {"method": "msp", "network": "families"},
                "odin_max_logit": {"method": "max_logit", "logits_of": "odin"},
                "knn": {"neighbours": 3},
            },
            "extraction": {"shard_images": 5},
            "reporting": {"examples": 2, "bootstrap_replicates": 200},
        },
        {"train": 16, "fit": 20, "test": 12, "greens": 8, "static": 6, "raw_static": 6},
        ("squares/blue_dark/000.png", "greens/green_dark/000.png", "greens/green_dark/001.png"),
        "classifier",
    ),
    "multi_label": Toy(
        {
            "data": {
                "in_dist": "coco",
                "labelled": {"layout": "coco", "folder": "coco"},
                "ood": ["wild", "static"],
                "train": {"split": "train"},
                "fit": {"split": "val", "share": 0.5},
                "test": {"split": "val"},
            },
            "networks": {"classifier": {"architecture": "toy", "weights": "trained_head", "width": 16, **TRAINED}},
            "detectors": {
                "mc_dropout": {"passes": 4, "seed": 3},
                "isolation_forest": {"trees": 10},
                "odin_max_logit": {"method": "max_logit", "logits_of": "odin"},
                "knn": {"neighbours": 3},
            },
            "extraction": {"shard_images": 5},
            "reporting": {"positive_class": "both", "bootstrap_replicates": 200},
        },
        {"train": 20, "fit": 12, "test": 13, "wild": 8, "static": 6},
        ("coco/train2017/003.png", "wild/n02508213/000.png", "wild/n02508213/001.png"),
        "classifier",
    ),
    "segmentation": Toy(
        {
            "data": {
                "in_dist": "street",
                "layout": "paired_folders",
                "folder": "street",
                "paired": {
                    "splits": {
                        split: {"images": f"photos/{split}", "labels": f"masks/{split}", "role": role}
                        for split, role in ROLES.items()
                    },
                    "ids": IDS,
                    "names": {0: "ground", 1: "box"},
                },
            },
            "networks": {
                "segmenter": {
                    "architecture": "pspnet_toy",
                    "weights": "trained",
                    "width": 8,
                    "dropout": 0.5,
                    "label_stride": 1,
                    **TRAINED,
                    "batch_images": 2,
                },
                "confidence_branch": {"objective": "confidence"},
                "autoencoder": {"objective": "reconstruction", "epochs": 2, "batch_images": 2},
            },
            "detectors": {
                "mc_dropout": {"passes": 3},
                "odin_max_logit": {"method": "max_logit", "logits_of": "odin"},
            },
            "extraction": {"shard_images": 2, "stored": "float32"},
            "reporting": {"examples": 1, "bootstrap_replicates": 200},
        },
        {"train": 4, "validation": 3, "test": 3},
        ("street/photos/train/0.png", "street/photos/test/0.png", "street/photos/test/2.png"),
        "segmenter",
    ),
}
