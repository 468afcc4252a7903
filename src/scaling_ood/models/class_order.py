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

    Names may differ in case, spaces, hyphens and underscores, where each still belongs to one alone.

    Args:
        given: Classes in the order of the head.
        classes: Of the data set, in its order.
        source: Where `given` comes from, for the message.

    Raises:
        ValueError: They are not the same classes; says which differ.

    >>> positions(["bee", "School-Bus"], ["school_bus", "bee"], "order.txt")
    [1, 0]
    """
    found = _outputs(given, classes)
    lacking = [f"{name}{nearest(name, given)}" for name in classes if name not in found]
    used = set(found.values())
    others = [name for index, name in enumerate(given) if index not in used]
    problems = {"lacks": lacking, "names others than the data set has:": others}
    told = [f"{what} {listed(names, most=5)}" for what, names in problems.items() if names]
    if told:
        raise ValueError(
            f"{source}, {len(given):,} classes, is not an order of the data set's {len(classes):,}: {'; '.join(told)}"
        )
    return [found[name] for name in classes]


def named_positions(own: Sequence[str], classes: Sequence[str], network: str) -> list[int]:
    """The same by the names that a network itself has for its classes; empty where its order is the data set's.

    Names that have nothing in common with the data set's, or another number of them, say nothing about the order.

    Args:
        own: Names in the order of the network's outputs; empty where it has none.
        classes: Of the data set, in its order.
        network: Its name, for the message.

    Raises:
        ValueError: Only some names are the data set's, and they show that the order is another one.

    >>> named_positions(["bee", "Ant"], ["ant", "bee"], "hf:mine"), named_positions(["a", "b"], ["x", "y"], "hf:mine")
    ([1, 0], [])
    """
    if len(own) != len(classes):
        return []
    found = _outputs(own, classes)
    elsewhere = [name for index, name in enumerate(classes) if found.get(name, index) != index]
    if len(found) == len(classes):
        return list(found.values()) if elsewhere else []
    if elsewhere:
        told = [f"{name} (class {classes.index(name)} of the data, output {found[name]})" for name in elsewhere]
        lacking = [f"{name}{nearest(name, own)}" for name in classes if name not in found]
        raise ValueError(
            f"{network} names its classes, and has them in another order than the data set: {listed(told, most=3)}. It "
            f"has no name for {listed(lacking, most=5)}. So the order cannot be taken from the names: state "
            "class_order, a file with the data set's classes in the order of the network's outputs, one a line"
        )
    return []


def spelled_otherwise(given: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Which classes a head calls by another spelling, in words.

    >>> spelled_otherwise(["School-Bus", "bee"], ["bee", "school_bus"])
    ['school_bus (School-Bus)']
    """
    return [f"{name} ({given[k]})" for name, k in _outputs(given, classes).items() if given[k] != name]


def _outputs(given: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Class to its output, for those that have one alone, by their names or else by their letters and digits."""
    exact = {name: index for index, name in enumerate(given)}
    if set(exact) == set(classes):
        return {name: exact[name] for name in classes}
    heads, wanted = Counter(map(_letters, given)), Counter(map(_letters, classes))
    alike = {_letters(name): index for index, name in enumerate(given)}
    return {name: alike[key] for name in classes if heads[key := _letters(name)] == 1 == wanted[key]}


def _letters(name: str) -> str:
    """What is left of a name without case, spaces, hyphens and underscores; the name itself where nothing is."""
    return "".join(filter(str.isalnum, name.casefold())) or name
