"""How much a checkpoint says that it holds, read without building anything of it."""

from __future__ import annotations

import pickle
from typing import IO, Any

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


class _Nothing:
    """Takes the place of whatever a pickle builds: it takes everything, and keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Nothing:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def add(self, item: Any) -> None: ...


class _Outline(restricted_unpickler({})):  # type: ignore[misc]
    """Notes the storages that a pickle of torch asks for; names are types that build `_Nothing`."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")
        self.storages: dict[str, int] = {}

    def find_class(self, module_name: str, global_name: str, /) -> Any:  # noqa: ARG002 - nothing is imported
        return type(global_name, (_Nothing,), {})

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) > 4 and pid[0] == "storage":  # noqa: PLR2004 - kind, key, place, numbers
            kind, key, numbers = getattr(pid[1], "__name__", ""), str(pid[2]), int(pid[4])
            self.storages[key] = max(self.storages.get(key, 0), numbers * _ITEM_BYTES.get(kind, 1))
        return _Nothing()


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
