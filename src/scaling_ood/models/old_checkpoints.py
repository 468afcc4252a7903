"""Checkpoints that only an unrestricted pickle would read: those of Python 2, and those that hold objects."""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import torch

from scaling_ood.models.outlines import nothing_called
from scaling_ood.restricted_pickle import NUMPY, Builders, restricted_unpickler

_ALLOWED: Builders = {
    **NUMPY,
    ("collections", "OrderedDict"): OrderedDict,
    **{
        ("torch._utils", name): getattr(torch._utils, name)
        for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
    },
}


class _RestrictedPickle(ModuleType):
    """Takes the place of the module `pickle` in `torch.load`, which builds the storages itself."""

    Unpickler = restricted_unpickler(_ALLOWED)

    @staticmethod
    def load(file: IO[bytes], **options: Any) -> Any:
        """What `pickle.load` does."""
        return _RestrictedPickle.Unpickler(file, **options).load()


class _WithoutObjects(_RestrictedPickle):
    """The same, but objects of other packages are nothing: these are not imported, and take what they are given.

    What Python itself brings beside plain containers has no place beside weights, and is refused as before.
    """

    class Unpickler(restricted_unpickler(_ALLOWED)):  # type: ignore[misc]
        """Knows tensors and arrays, and nothing of all other names."""

        def find_class(self, module_name: str, global_name: str, /) -> Any:
            """What is built in place of a name."""
            if (module_name, global_name) in _ALLOWED or _is_suspicious(module_name, global_name):
                return super().find_class(module_name, global_name)
            return nothing_called(global_name)


def _is_suspicious(module: str, name: str) -> bool:
    own = module.partition(".")[0]
    if own in ("builtins", "__builtin__"):
        return name not in _PLAIN_BUILTINS
    return own in sys.stdlib_module_names and own not in _PLAIN_MODULES


_PLAIN_BUILTINS = frozenset({"bool", "bytearray", "complex", "dict", "float", "frozenset", "int", "list", "object"}) | {
    *("range", "set", "slice", "str", "tuple")
}
_PLAIN_MODULES = frozenset({"argparse", "collections", "datetime", "decimal", "enum", "pathlib", "types", "typing"})


def load_tensors_alone(path: Path) -> Any:
    """What a checkpoint in a zip archive holds, with nothing in place of its objects.

    It must be known to hold no program.

    Raises:
        pickle.UnpicklingError: It is damaged.
        RuntimeError: It is no checkpoint of torch.
    """
    module = _WithoutObjects("without_objects")
    with path.open("rb") as file:
        return torch.load(file, map_location="cpu", weights_only=False, pickle_module=module)


def load_old_checkpoint(path: Path) -> Any:
    """What a checkpoint holds that is pickles and storages: tensors, numbers, text, containers of these, nothing else.

    It must be known to be no archive: torch reads those in other ways, which nothing restricts. The text of Python 2 is
    read as latin1, which keeps every byte.

    Raises:
        pickle.UnpicklingError: It would build anything else, which is refused before it is imported, or is damaged.
        RuntimeError: It is no checkpoint of torch.
        AssertionError, LookupError, TypeError, ValueError: It is damaged.
    """
    restricted = _RestrictedPickle("restricted_pickle")
    with path.open("rb") as file:
        return torch.load(file, map_location="cpu", weights_only=False, pickle_module=restricted, encoding="latin1")
