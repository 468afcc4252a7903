"""How much a checkpoint says that it holds, read without building anything of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import IO, Any, ClassVar

from scaling_ood.restricted_pickle import restricted_unpickler

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
"""What `torch.save` wrote first before it wrote zip archives."""

_ITEM_BYTES = {
    "ComplexDoubleStorage": 16,
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
}
"""Bytes of a number in the storages of torch; 1 in all others."""

_TUPLES = (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3)
_MOST_PARTS = 1_000


class _Nothing:
    """Takes the place of whatever a pickle builds: it takes everything, and keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Nothing:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def add(self, item: Any) -> None: ...


class _Bytes(_Nothing):
    """In place of `bytearray`, which makes a number into as many bytes."""

    def __new__(cls, *given: Any, **_: Any) -> _Bytes:
        if not all(isinstance(each, str | bytes | _Nothing) for each in given):
            raise pickle.UnpicklingError("it makes bytes from a number")
        return object.__new__(cls)


def nothing_called(name: str) -> type:
    """What is built in place of a name: it takes everything that a pickle gives it, and keeps nothing."""
    return type(name, (_Bytes if name == "bytearray" else _Nothing,), {})


class _Tuple(tuple[Any, ...]):
    """Counts its parts, of tuples in it too: it is hashed part by part, and a short pickle can make 2^60 of them."""

    parts: int

    def __hash__(self) -> int:
        if self.parts > _MOST_PARTS:
            raise pickle.UnpicklingError(f"it has a name of more than {_MOST_PARTS:,} parts")
        return super().__hash__()


def _counted(load: Callable[[Any], None]) -> Callable[[Any], None]:
    def load_counted(self: Any) -> None:
        load(self)
        made = self.stack[-1] = _Tuple(self.stack[-1])
        made.parts = sum(each.parts if isinstance(each, _Tuple) else 1 for each in made)

    return load_counted


class _Outline(restricted_unpickler({})):  # type: ignore[misc]
    """Notes the storages that a pickle of torch asks for; names are types that build `_Nothing`."""

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        **{code[0]: _counted(pickle._Unpickler.dispatch[code[0]]) for code in _TUPLES},
    }

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")
        self.storages: dict[str, int] = {}

    def find_class(self, module_name: str, global_name: str, /) -> Any:  # noqa: ARG002 - nothing is imported
        return nothing_called(global_name)

    def persistent_load(self, pid: Any) -> Any:
        # What is no text is not looked at further: to put it into words may take for ever.
        match pid:
            case ("storage", kind, str() | int() as key, _, int(numbers), *_):
                bytes_ = numbers * _ITEM_BYTES.get(getattr(kind, "__name__", ""), 1)
                self.storages[str(key)] = max(self.storages.get(str(key), 0), bytes_)
                return _Nothing()
            case ("module", kind, *_):
                return kind
        raise pickle.UnpicklingError("it asks for something else than a storage")


def claimed_storages(file: IO[bytes]) -> dict[str, int]:
    """Bytes of each storage that the next pickle of a file asks for, by its key.

    Raises:
        pickle.UnpicklingError: The pickle is damaged.
    """
    outline = _Outline(file)
    outline.load()
    return outline.storages


def claimed_by_pickles(file: IO[bytes]) -> dict[str, int]:
    """The same for a file that torch wrote before it wrote zip archives: some pickles, then the storages.

    Raises:
        pickle.UnpicklingError: It is damaged, or torch did not write it.
    """
    try:
        begins = _Outline(file).load()
    except pickle.UnpicklingError:
        begins = None
    if begins != MAGIC_NUMBER:
        raise pickle.UnpicklingError("it is a pickle of Python that torch.save did not write, or it is damaged")
    for _ in ("protocol", "system"):
        _Outline(file).load()
    return claimed_storages(file)
