"""A multi-label benchmark that is prepared, trained and scored in a blink: COCO's layout, colours for classes."""

import json

import numpy as np
from coco_documents import coco_document
from PIL import Image

from scaling_ood.parameters.common import IdentitySpec, ReportingSpec, RuntimeSpec
from scaling_ood.parameters.data_sets import DataSets
from scaling_ood.parameters.multi_label import LabelDataSpec, LabelExtractionSpec, MultiLabelModelSpec

CATEGORIES = {7: "cow", 1: "bee", 3: "ant"}
"""COCO's ids, in no order: classes are those of ascending ids, so bee, ant and cow."""
COLOURS = {1: (150, 0, 0), 3: (0, 150, 0), 7: (0, 0, 150)}
SIZES = {"train2017": 20, "val2017": 25}
UNLABELLED = 6
"""Photographs of the split test, whose annotations are not published."""
IDENTITY = IdentitySpec(setting="multi_label", benchmark="toy")
RUNTIME = RuntimeSpec(device="cpu", batch_images=7, workers=0, channels_last=False)
EXTRACTION = LabelExtractionSpec(shard_images=5, dropout_passes=4, dropout_seed=3)
REPORTING = ReportingSpec(positive_class="both")
DETECTORS = {
    "max_logit": {},
    "msp": {},
    "logit_avg": {},
    "mc_dropout": {},
    "isolation_forest": {"trees": 10},
    "local_outlier_factor": {"neighbours": 3},
    "energy": {},
    "joint_energy": {},
}


def write_photographs(root):
    """`coco` with boxes for train and val, none for test; `wild` with two folders of colours that no class has."""
    (root / "coco/annotations").mkdir(parents=True)
    for seed, (split, size) in enumerate(SIZES.items()):
        shown = {number: kinds_shown(number) for number in range(size)}
        boxes = [(number, kind) for number, kinds in shown.items() for kind in kinds]
        # An image of the last kind twice, and a crowd that is all there is of the first one in an image.
        boxes += [(7, 7), (8, 1, True)]
        document = coco_document({number: f"{number:03d}.png" for number in shown}, boxes, CATEGORIES)
        (root / f"coco/annotations/instances_{split}.json").write_text(json.dumps(document))
        for number, kinds in shown.items():
            drawn = kinds | {1} if number == 8 else kinds
            write_picture(root / f"coco/{split}/{number:03d}.png", sum_of(drawn), [seed, number])
    information = coco_document({number: f"{number:03d}.png" for number in range(UNLABELLED)}, [], {})
    (root / "coco/annotations/image_info_test2017.json").write_text(json.dumps({"images": information["images"]}))
    for number in range(UNLABELLED):
        write_picture(root / f"coco/test2017/{number:03d}.png", sum_of(kinds_shown(number)), [2, number])
    for index, (name, colour) in enumerate({"n02508213": (250, 250, 80), "n02139199": (90, 90, 90)}.items()):
        for number in range(4):
            write_picture(root / f"wild/{name}/{number}.png", np.array(colour), [3 + index, number])


def kinds_shown(number):
    """Category ids of an image: every combination in turn, none of them included."""
    return {kind for bit, kind in enumerate((1, 3, 7)) if number >> bit & 1}


def sum_of(kinds):
    """Colour of an image that shows these kinds."""
    return 40 + sum((np.array(COLOURS[kind]) for kind in sorted(kinds)), np.zeros(3))


def write_picture(path, colour, seed):
    """12 x 10 grainy pixels of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grain = np.random.default_rng(seed).normal(0, 12, (10, 12, 3))
    Image.fromarray(np.clip(np.asarray(colour) + grain, 0, 255).astype(np.uint8)).save(path)


def data_sets():
    """The library: photographs and noise."""
    wild = {"source": "photographs", "layout": "class_folders", "folder": "wild"}
    static = {"source": "noise", "recipe": "gaussian", "images": 6}
    return DataSets.model_validate({"wild": wild, "static": static})


def data_spec(**changes):
    """Half of val to fit on, the other half to test."""
    given = {
        "in_dist": "coco",
        "labelled": {"layout": "coco", "folder": "coco"},
        "ood": ["wild", "static"],
        "train": {"split": "train"},
        "fit": {"split": "val", "share": 0.5},
        "test": {"split": "val"},
    }
    return LabelDataSpec.model_validate(given | changes)


def label_model_spec(**changes):
    """Two heads on the toy's features."""
    given = {
        "architecture": "toy",
        "training": "head",
        "width": 16,
        "seeds": (0, 1),
        "epochs": 4,
        "batch_images": 6,
        "learning_rate": 0.03,
    }
    return MultiLabelModelSpec.model_validate(given | changes)
