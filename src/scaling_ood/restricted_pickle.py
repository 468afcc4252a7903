"""Old data sets and checkpoints are Python pickles, which may run any code. These unpicklers build named types only."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

Builders = Mapping[tuple[str, str], Any]

_PLAIN_KINDS = "biufcmMSU"

_DAMAGED = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)


class _Dtype:
    """A `numpy.dtype` of plain numbers or text.

    numpy's own takes state from a pickle that makes it lie about what it holds; then the bytes of an array are read as
    addresses of objects.
    """

    def __init__(self, kind: str, align: int = 0, copy: int = 0) -> None:  # noqa: ARG002 - of structures only
        if not isinstance(kind, str):
            raise pickle.UnpicklingError("it holds an array of something else than numbers or text")
        self.dtype = np.dtype(kind)
        if self.dtype.kind not in _PLAIN_KINDS or self.dtype.subdtype is not None:
            raise pickle.UnpicklingError(f"it holds an array of {kind}, which are no plain numbers or text")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray[Any, Any]):
    """A `numpy.ndarray` that takes its bytes and nothing else from a pickle."""

    def __new__(cls, *_: Any) -> Self:
        raise pickle.UnpicklingError("it builds an array in a way that numpy does not")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *version, shape, kind, fortran, data = state
        if not isinstance(kind, _Dtype) or not isinstance(data, bytes | str):
            raise pickle.UnpicklingError("it holds an array of something else than numbers or text")
        content = data if isinstance(data, bytes) else data.encode("latin1")
        super().__setstate__((*version, shape, kind.dtype, fortran, content))


def _numpy_reconstruct(kind: type, shape: tuple[int, ...], code: bytes | str) -> np.ndarray[Any, Any]:  # noqa: ARG001
    """What `numpy.core.multiarray._reconstruct` does, for plain arrays: an empty one, which its state then fills."""
    if kind is not _Array or tuple(shape) != (0,):
        raise pickle.UnpicklingError("it builds an array in a way that numpy does not")
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _numpy_scalar(kind: _Dtype, data: bytes | str) -> Any:
    """What `numpy.core.multiarray.scalar` does."""
    if not isinstance(kind, _Dtype):
        raise pickle.UnpicklingError("it builds a number in a way that numpy does not")
    return np.frombuffer(data if isinstance(data, bytes) else data.encode("latin1"), kind.dtype)[0]


def _encode(text: str, encoding: str) -> bytes:
    """What `_codecs.encode` does for bytes that Python 3 wrote in an old protocol."""
    if encoding != "latin1":
        raise pickle.UnpicklingError("it holds bytes in another encoding than latin1")
    return text.encode("latin1")


NUMPY: Builders = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _numpy_reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _numpy_scalar for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}
"""Plain numpy arrays and numbers, whichever versions of Python and numpy wrote them."""


def restricted_unpickler(allowed: Builders) -> type[pickle._Unpickler]:
    """An unpickler that knows these names and no others.

    It is the one that is written in Python: that in C takes memory by the largest number that a pickle gives an object.

    Args:
        allowed: Module and name to what is built in their place.

    Returns:
        A class to use like `pickle.Unpickler`; its `load` raises `pickle.UnpicklingError` for any other name, before
        anything of that name is imported, and for what is damaged.
    """

    class RestrictedUnpickler(pickle._Unpickler):
        def find_class(self, module_name: str, global_name: str, /) -> Callable[..., Any]:
            try:
                found: Callable[..., Any] = allowed[module_name, global_name]
            except KeyError:
                raise pickle.UnpicklingError(
                    f"it wants to build {module_name}.{global_name}, which is refused"
                ) from None
            return found

        def load(self) -> Any:
            try:
                return super().load()
            except _DAMAGED as error:
                raise pickle.UnpicklingError(f"it is damaged ({str(error) or type(error).__name__})") from error

    return RestrictedUnpickler
