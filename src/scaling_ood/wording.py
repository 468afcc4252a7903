"""How messages name things: the nearest match of a wrong name, and long lists cut short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

_MOST_REASONS = 8


def nearest(given: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: the known one that is nearest; empty where none is near.

    >>> nearest("epoch", ["epochs", "seeds"])
    "; did you mean 'epochs'?"
    """
    near = get_close_matches(str(given), list(known), 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The same, and all known names.

    >>> did_you_mean("epoch", ["epochs", "seeds"])
    "; did you mean 'epochs'? (known: epochs, seeds)"
    """
    names = list(known)
    return f"{nearest(given, names)} (known: {', '.join(names) or 'none'})"


def unknown(kind: str, given: str, known: Iterable[str]) -> str:
    """Sentence for a name that is not known, with the nearest match and all known ones.

    >>> unknown("role", "tset", ["train", "test"])
    "unknown role 'tset'; did you mean 'test'? (known: test, train)"
    """
    return f"unknown {kind} '{given}'{did_you_mean(given, sorted(known))}"


def refuse_unknown(kind: str, given: Iterable[str], known: Iterable[str], where: str = "") -> None:
    """Make sure that all names are known.

    Raises:
        ValueError: Some are not; says so of each, after `where`.

    >>> refuse_unknown("split", ["val", "tset"], ["train", "val"], "voc")
    Traceback (most recent call last):
    ValueError: voc: unknown split 'tset' (known: train, val)
    """
    names = list(known)
    if wrong := [unknown(kind, each, names) for each in given if each not in names]:
        raise ValueError((f"{where}: " if where else "") + "; ".join(wrong))


def check_choice(option: str, given: str, allowed: Sequence[str]) -> None:
    """Refuse an option's value that is not allowed, with the nearest that is.

    >>> check_choice("on", "logit", ("features", "logits"))
    Traceback (most recent call last):
    ValueError: on must be 'features' or 'logits', not 'logit'; did you mean 'logits'?
    """
    if given not in allowed:
        raise ValueError(f"{option} must be {' or '.join(map(repr, allowed))}, not {given!r}{nearest(given, allowed)}")


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


def counted(reasons: Mapping[str, int]) -> str:
    """How often each reason applies, the most frequent first; there may be as many reasons as files.

    >>> counted({"link to nothing": 1, "ending .txt": 2})
    'ending .txt: 2; link to nothing: 1'
    """
    ranked = Counter(reasons).most_common()
    shown, others = ranked[:_MOST_REASONS], ranked[_MOST_REASONS:]
    rest = [f"{len(others):,} other reasons: {sum(count for _, count in others):,}"] if others else []
    return "; ".join([*(f"{reason}: {count:,}" for reason, count in shown), *rest])
