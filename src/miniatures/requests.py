"""Checks of what somebody asks to be rendered: sizes of a data set, and one image of one of its folders."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Protocol, TypeVar


class _Folder(Protocol):
    @property
    def images(self) -> int: ...


Folder = TypeVar("Folder", bound=_Folder)


def image_folder(known: Mapping[str, Folder], folder: str, index: int) -> Folder:
    """What is in a folder, having checked that it holds the image.

    Args:
        known: All folders, by name.
        folder: One of them.
        index: Which image of the folder, from 0.

    Raises:
        KeyError: There is no such folder; the message names the nearest one.
        IndexError: The folder has no such image.
    """
    if folder not in known:
        nearest = difflib.get_close_matches(folder, known, n=1, cutoff=0.0)[0]
        raise KeyError(f"no folder {folder!r} among the {len(known)} of this spec; did you mean {nearest!r}?")
    if not 0 <= index < known[folder].images:
        raise IndexError(f"image {index} of {folder!r}: allowed are 0 to {known[folder].images - 1}")
    return known[folder]


def check_ranges(
    spec: object, ranges: Mapping[str, tuple[float, float]], numbers: frozenset[str] = frozenset()
) -> None:
    """Refuse fields outside their ranges.

    Args:
        spec: Whose fields they are.
        ranges: Field to its least and largest value.
        numbers: Fields that need not be integers.

    Raises:
        ValueError: Lists every such field, its value and what is allowed.
    """
    problems = [
        f"{name}={value!r}, allowed: {'a number' if name in numbers else 'an integer'} from {low} to {high}"
        for name, (low, high) in ranges.items()
        if not within(value := getattr(spec, name), low, high, whole=name not in numbers)
    ]
    if problems:
        raise ValueError(f"{type(spec).__name__}: " + "; ".join(problems))


def within(value: object, low: float, high: float, *, whole: bool) -> bool:
    """Return whether a field's value is a number of the right sort from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return False
    return low <= value <= high
