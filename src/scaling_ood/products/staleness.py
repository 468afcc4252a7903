"""Whether a stored product is still what the present parameters would make, and if not, why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scaling_ood.products.keys import Origin, Product, differences


class Graph:
    """All that can be made, and what is there of it.

    Attributes:
        producers: Name of a product to the function that says what it is made from, and its inputs by argument.
        peek: Reads what is there under a name, without its content; None where nothing is.
    """

    def __init__(
        self,
        producers: Mapping[str, tuple[Callable[[Mapping[str, Any]], Origin], Mapping[str, str]]],
        peek: Callable[[str], Any],
    ) -> None:
        """Take over a graph."""
        self.producers = producers
        self._peek = peek
        self._seen: dict[str, Any] = {}
        self._reasons: dict[str, tuple[str, ...]] = {}

    def reasons(self, name: str) -> tuple[str, ...]:
        """Why a stored product is stale; nothing for one that is not, or of which nothing is known."""
        if name not in self._reasons:
            self._reasons[name] = ()  # a graph has no circles
            self._reasons[name] = tuple(dict.fromkeys(self._found(name)))
        return self._reasons[name]

    def _found(self, name: str) -> Iterator[str]:
        if name not in self.producers:
            return
        origin_of, inputs = self.producers[name]
        upstream = [reason for given in inputs.values() for reason in self.reasons(given)]
        if upstream:
            yield from upstream
            return
        stored = self._read(name)
        if not isinstance(stored, Product):  # a table or a tracked run has no record; what it was made from has
            return
        present = {argument: self._read(given) for argument, given in inputs.items()}
        now, then = origin_of(present), stored.origin
        if now.version != then.version or now.node != then.node:
            yield f"{name} was made by another version of this software"
        places = {argument: _words(given) for argument, given in inputs.items()}
        for argument in dict.fromkeys([*then.made_from, *now.made_from]):
            # What is not there any more cannot be compared: it would be made anew if it were needed.
            if argument in inputs and present.get(argument) is None and argument not in now.made_from:
                continue
            before, after = then.made_from.get(argument), now.made_from.get(argument)
            yield from differences(before, after, places.get(argument, argument))

    def _read(self, name: str) -> Any:
        if name not in self._seen:
            self._seen[name] = self._peek(name)
        return self._seen[name]


def _words(name: str) -> str:
    """What messages call an input: parameters by their place in the YAML."""
    return name.removeprefix("params:")
