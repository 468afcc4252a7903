"""How errors name things: the nearest match of a wrong name, and long lists cut short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def unknown(kind: str, given: str, known: Iterable[str]) -> str:
    """Sentence for a name that is not known, with the nearest match and all known ones.

    >>> unknown("role", "tset", ["train", "test"])
    "unknown role 'tset'; did you mean 'test'? (known: test, train)"
    """
    names = sorted(known)
    near = get_close_matches(given, names, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown {kind} '{given}'{hint} (known: {', '.join(names)})"


def in_bytes(size: int) -> str:
    """A size on disk, for people.

    >>> in_bytes(11_725_945_000), in_bytes(512_000), in_bytes(999)
    ('11.7 GB', '512.0 kB', '999 bytes')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def listed(names: Sequence[str], most: int = 10, between: str = ", ") -> str:
    """The first names of a list, and how many more there are; `between` them is what they do not hold themselves.

    >>> listed(["a", "b", "c"], most=2)
    'a, b, … and 1 more'
    """
    return between.join(names[:most]) + (f"{between}… and {len(names) - most} more" if len(names) > most else "")
