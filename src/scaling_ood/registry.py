"""Parts that are asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from scaling_ood.wording import unknown

Named = TypeVar("Named")


class Registry(dict[str, Named]):
    """Parts of one kind by their names; asking for one that is not there is an error that names the nearest and all.

    >>> Registry("fruit", {"apple": 1, "pear": 2})["appel"]
    Traceback (most recent call last):
    ValueError: unknown fruit 'appel'; did you mean 'apple'? (known: apple, pear)
    """

    def __init__(self, kind: str, parts: Mapping[str, Named] = MappingProxyType({})) -> None:
        """What messages call a part, and the parts that are there from the start."""
        super().__init__(parts)
        self.kind = kind

    def known(self, name: str) -> str:
        """A name, after making sure that there is such a part."""
        self[name]
        return name

    def __missing__(self, name: str) -> Named:
        """Refuse an unknown name."""
        raise ValueError(unknown(self.kind, name, self))
