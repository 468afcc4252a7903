"""Valid parameters of all three settings, with every kind of part, as they stand after all files are merged."""

from collections.abc import Callable
from typing import Any

Parameters = dict[str, Any]


def parameters() -> Parameters:
    """A new copy at each call."""
    return {
        "benchmark": "toy",
        "runtime": {"device": "cpu", "workers": 0},
        "data_sets": {
            "squares": {
                "source": "photographs",
                "layout": "image_folder",
                "folder": "squares",
                "groups": "class_prefix",
                "class_list": "imagenet_1k",
                "published": {"data_set": "imagenet"},
                "curation": {"flags": "flags.csv"},
            },
            "rendered": {"source": "fabricated", "layout": "image_folder", "folder": "in_dist"},
            "static": {"source": "noise", "recipe": "gaussian"},
            "animals": {
                "source": "photographs",
                "layout": "tiny_imagenet",
                "folder": "tiny",
                "classes": {"table": "tiny_imagenet", "value": "animal"},
            },
            "raccoons": {"source": "photographs", "layout": "class_folders", "folder": "raccoons"},
            "species": {
                "source": "photographs",
                "layout": "species",
                "folder": "species",
                "species": {"take": "known"},
            },
        },
        "multi_class": {
            "fabrication": {"families": 4, "ood_families": 2, "supercategories": 1},
            "data": {
                "in_dist": "squares",
                "ood": ["static", "animals", "species"],
                "train": {"split": "train"},
                "fit": {"split": "val", "per_class": 3},
                "test": {"split": "val"},
            },
            "networks": {
                "classifier": {"architecture": "small_resnet", "weights": "trained", "epochs": 3},
                "families": {"targets": "coarse"},
                "confidence_branch": {"objective": "confidence", "epochs": 5},
                "dropout": {"dropout": 0.5},
            },
            "extraction": {},
            "detectors": {
                "msp": {},
                "energy": {"temperature": 2.0},
                "max_logit": False,
                "families_msp": {"method": "msp", "network": "families"},
                "confidence_branch": {},
                "odin": {"epsilon": 0.01},
                "odin_max_logit": {"method": "max_logit", "logits_of": "odin"},
            },
            "reporting": {},
        },
        "multi_label": {
            "fabrication": {"size_px": 32},
            "data": {
                "in_dist": "coco",
                "labelled": {"layout": "coco", "folder": "coco_2017"},
                "ood": ["raccoons", "static"],
                "train": {"split": "train"},
                "fit": {"split": "val", "share": 0.5},
                "test": {"split": "val"},
            },
            "networks": {"classifier": {"architecture": "efficientnet_lite0", "weights": "trained_head"}},
            "detectors": {"max_logit": {}, "mc_dropout": {"passes": 3}},
            "reporting": {"positive_class": "both"},
        },
        "segmentation": {
            "fabrication": False,
            "data": {"in_dist": "street", "layout": "streethazards", "folder": "street"},
            "networks": {
                "segmenter": {"architecture": "pspnet_resnet10", "weights": "trained", "test_edge": 64, "seeds": 2},
                "autoencoder": {"objective": "reconstruction"},
            },
            "detectors": {"msp": {}, "autoencoder": {}, "mc_dropout": {"passes": 3}},
        },
    }


def change(path: str, value: Any) -> Callable[[Parameters], None]:
    """Gives the parameter at a place another value."""

    def apply(given: Parameters) -> None:
        *above, last = path.split(".")
        for step in above:
            given = given[step]
        given[last] = value

    return apply


def remove(path: str) -> Callable[[Parameters], None]:
    """Leaves out the parameter at a place."""

    def apply(given: Parameters) -> None:
        *above, last = path.split(".")
        for step in above:
            given = given[step]
        del given[last]

    return apply


def changed(*changes: Callable[[Parameters], None]) -> Parameters:
    """The parameters with some changes."""
    given = parameters()
    for apply in changes:
        apply(given)
    return given
