"""Every class that a published head knows, in the order of its outputs, of which a copy of a data set may lack some."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from scaling_ood.images.places import places365_classes
from scaling_ood.images.tables import class_table
from scaling_ood.registry import Registry
from scaling_ood.storage import place


def _imagenet_21k_p(_: Path) -> tuple[str, ...]:
    """The 11,221 synsets of `fall11`, as timm ships them beside the networks.

    The 10,450 of `winter21` are among them.
    """
    info: Any = import_module("timm.data").ImageNetInfo
    return tuple(info("imagenet21k_miil").label_names())


def _imagenet_1k(_: Path) -> tuple[str, ...]:
    return tuple(class_table("imagenet_1k")["wnid"])


CLASS_LISTS: Registry[Callable[[Path], tuple[str, ...]]] = Registry(
    "class list",
    {"imagenet_1k": _imagenet_1k, "imagenet_21k_p": _imagenet_21k_p, "places365": places365_classes},
)


def class_list(name: str, folder: str | Path) -> tuple[str, ...]:
    """The classes of a list; a label is an index into it.

    Args:
        name: One of `CLASS_LISTS`.
        folder: Of the data set, where its own files say it.

    Raises:
        ValueError: Unknown name; says the nearest match and all known ones.
        FileNotFoundError: The data set's own list is not there.
        MissingLibraryError: The list is a package's that is not installed.

    >>> class_list("imagenet_1k", Path())[:2]
    ('n01440764', 'n01443537')
    """
    return CLASS_LISTS[name](place(str(folder)))
