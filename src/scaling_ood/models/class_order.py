"""In which order a head has its classes, where that is not the data set's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scaling_ood.wording import listed, nearest


def read_class_order(file: str | Path) -> tuple[str, ...]:
    """The classes of a head in the order of its outputs: a text file with the name of one on each line.

    Raises:
        ValueError: There is no such file, it is no text, it is empty, or it names a class twice.
    """
    path = Path(file)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no text file that can be read ({error})") from error
    names = tuple(name for line in lines if (name := line.strip()))
    if not names:
        raise ValueError(f"{path} is empty: it names the classes in the order of the head, one a line")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{path} names twice: {listed(twice, most=5)}")
    return names


def positions(given: Sequence[str], classes: Sequence[str], source: str) -> list[int]:
    """Which output of a head each class of a data set is.

    Args:
        given: Classes in the order of the head.
        classes: Of the data set, in its order.
        source: Where `given` comes from, for the message.

    Raises:
        ValueError: They are not the same classes; says which differ.

    >>> positions(["bee", "ant"], ["ant", "bee"], "order.txt")
    [1, 0]
    """
    place = {name: index for index, name in enumerate(given)}
    lacking = [f"{name}{nearest(name, given)}" for name in classes if name not in place]
    others = [name for name in given if name not in set(classes)]
    problems = {"lacks": lacking, "names others than the data set has:": others}
    told = [f"{what} {listed(names, most=5)}" for what, names in problems.items() if names]
    if told:
        raise ValueError(
            f"{source}, {len(given):,} classes, is not an order of the data set's {len(classes):,}: {'; '.join(told)}"
        )
    return [place[name] for name in classes]
