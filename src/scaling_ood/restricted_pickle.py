"""Old data sets and checkpoints are Python pickles, which may run any code. These unpicklers build named types only."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Builders = Mapping[tuple[str, str], Any]


def _numpy_reconstruct(kind: type, shape: tuple[int, ...], code: bytes | str) -> np.ndarray[Any, Any]:
    """What `numpy.core.multiarray._reconstruct` does, for plain arrays."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"a pickled array of type {kind.__name__}")
    return np.ndarray.__new__(np.ndarray, shape, code if isinstance(code, str) else code.decode("ascii"))


def _numpy_dtype(kind: str, align: int = 0, copy: int = 0) -> np.dtype[Any]:
    """What `numpy.dtype` does, with the numbers that older versions wrote for truth values."""
    return np.dtype(kind, align=bool(align), copy=bool(copy))


def _numpy_scalar(kind: np.dtype[Any], data: bytes | str) -> Any:
    """What `numpy.core.multiarray.scalar` does; an array of objects has no such bytes."""
    return np.frombuffer(data if isinstance(data, bytes) else data.encode("latin1"), kind)[0]


def _encode(text: str, encoding: str) -> bytes:
    """What `_codecs.encode` does for bytes that Python 3 wrote in an old protocol."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes encoded as {encoding}")
    return text.encode("latin1")


NUMPY: Builders = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _numpy_reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _numpy_scalar for core in ("core", "_core")},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _numpy_dtype,
    ("_codecs", "encode"): _encode,
}
"""Plain numpy arrays and numbers, whichever versions of Python and numpy wrote them."""


def restricted_unpickler(allowed: Builders) -> type[pickle.Unpickler]:
    """An unpickler that knows these names and no others.

    Args:
        allowed: Module and name to what is built in their place.

    Returns:
        A class to use like `pickle.Unpickler`; its `load` raises `pickle.UnpicklingError` for any other name, before
        anything of that name is imported.
    """

    class RestrictedUnpickler(pickle.Unpickler):
        def find_class(self, module_name: str, global_name: str, /) -> Callable[..., Any]:
            try:
                found: Callable[..., Any] = allowed[module_name, global_name]
            except KeyError:
                raise pickle.UnpicklingError(
                    f"it wants to build {module_name}.{global_name}, which is refused"
                ) from None
            return found

    return RestrictedUnpickler
