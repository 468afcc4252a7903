"""Checkpoints that only an unrestricted pickle would read, such as those that Python 2 wrote."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import torch

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
