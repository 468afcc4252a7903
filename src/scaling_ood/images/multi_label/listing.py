"""What a reader finds: images with the classes in them, and everything that is wrong with the annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from scaling_ood.images.files import printable
from scaling_ood.wording import listed, refuse_unknown


class AnnotationError(ValueError):
    """Annotations that cannot be relied on: all that is wrong with a data set, in one message."""


class MultiLabelImage(NamedTuple):
    """One image and what it shows.

    Attributes:
        key: Unique in its data set, and the same wherever the data set's folders lie.
        path: Relative to the data set's folder, with forward slashes.
        split: The data set's own.
        labels: Indices of the classes in it, ascending; empty if it shows none of them; None if nobody says.
    """

    key: str
    path: str
    split: str
    labels: tuple[int, ...] | None


class Listing(NamedTuple):
    """A data set as it lies on disk.

    Attributes:
        classes: Names, in the order of the class indices; empty where no file names them.
        images: In the reader's order.
        left_out: Path of every file that is left out, relative to the data set's folder, to the reason.
    """

    classes: tuple[str, ...]
    images: list[MultiLabelImage]
    left_out: Mapping[str, str] = MappingProxyType({})


class Problems:
    """Collects what is wrong, by kind, so that one message can say it all."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self._found: dict[str, list[str]] = {}

    def add(self, kind: str, what: str) -> None:
        """Note one more problem of a kind, such as `malformed annotations`."""
        self._found.setdefault(kind, []).append(printable(what))

    def refuse(self, where: str) -> None:
        """Make sure that nothing is wrong.

        Args:
            where: Data set, for the error.

        Raises:
            AnnotationError: Something is. A line for each kind, with its number and the first ten.
        """
        if self._found:
            lines = [f"{kind} ({len(found):,}): {listed(found, between='; ')}" for kind, found in self._found.items()]
            raise AnnotationError("\n  ".join([f"{where}:", *lines]))


def wanted_splits(wanted: Sequence[str] | None, there: Iterable[str]) -> list[str]:
    """The splits to read: the wanted ones, or all that are there.

    Raises:
        ValueError: A wanted split is not there; all such are named.
    """
    known = list(there)
    refuse_unknown("split", wanted or [], known)
    return known if wanted is None else list(wanted)
