"""Image sets of outputs that a person brings: from a folder, or as arrays in memory.

The folder holds, for each image set, a file or a folder of its name: `test` (in-distribution), `fit` (more
in-distribution images, which detectors are fitted on), and every OOD set by a name of its own. A set that is a folder
has a file per field (`logits.npy`, `features.npy`, …), or several files with all fields, which are joined in the order
of their names: only one of them is in memory at a time. Beside them `head` (`weight`, `bias` of the last layer) and
`classes.txt` (a name a line), if there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from scaling_ood.detectors import LinearHead
from scaling_ood.provided.formats import READERS, Fields, ProvidedError, as_names, as_numbers, read_fields
from scaling_ood.storage import local

FIELDS = ("logits", "features", "targets", "ids")
IN_DIST = ("fit", "test")
HEAD, CLASSES = "head", "classes.txt"


@dataclass(frozen=True)
class Rows:
    """What was left for some images, in their order.

    Attributes:
        logits: (N, C), unnormalised.
        features: (N, D) that enter the last layer; None where they are not there.
        targets: (N,) index of each image's class, or (N, C) with 1 for each class that it shows; None if not known.
        ids: N names; None where images have none.
    """

    logits: torch.Tensor
    features: torch.Tensor | None = None
    targets: torch.Tensor | None = None
    ids: Sequence[str] | None = None

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.logits)


@dataclass(frozen=True)
class ProvidedSet:
    """One image set.

    Attributes:
        name: `test`, `fit`, or that of an OOD set.
        parts: Each reads some of its rows; in order.
    """

    name: str
    parts: Sequence[Callable[[], Rows]]


@dataclass(frozen=True)
class Provided:
    """All that a person brings.

    Attributes:
        sets: By name; `test` is among them, and at least one OOD set.
        head: The last layer, where it is there.
        classes: Names of the classes; empty where they are not known.
        others: What lies beside and is not read.
    """

    sets: Mapping[str, ProvidedSet]
    head: LinearHead | None = None
    classes: Sequence[str] = ()
    others: Sequence[str] = field(default_factory=tuple)

    @property
    def ood(self) -> tuple[str, ...]:
        """Names of the OOD sets."""
        return tuple(name for name in self.sets if name not in IN_DIST)


def rows_of(name: str, fields: Mapping[str, Any]) -> Rows:
    """Rows of named arrays: NumPy's, tensors, or lists.

    Args:
        name: Of what messages say it is.
        fields: `logits` and, where they are there, `features`, `targets` and `ids`.

    Raises:
        ProvidedError: All that is wrong with shapes and numbers of rows.

    >>> rows_of("test", {"logits": [[1, 2], [3, 4]], "targets": [1, 0]}).logits.shape
    torch.Size([2, 2])
    """
    given = {key: value for key, value in fields.items() if value is not None}
    if "logits" not in given:
        raise ProvidedError(f"{name} has no logits (it has: {', '.join(given) or 'nothing'})")
    problems, found = [], dict[str, torch.Tensor]()
    for key in ("logits", "features", "targets"):
        if key not in given:
            continue
        dimensions = 2 if key != "targets" else max(1, min(2, _dimensions(given[key])))
        try:
            found[key] = as_numbers(name, key, given[key], dimensions)
        except ProvidedError as error:
            problems.append(str(error))
    ids = as_names(given["ids"]) if "ids" in given else None
    lengths = {key: len(each) for key, each in found.items()} | ({"ids": len(ids)} if ids is not None else {})
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{count:,} {key}" for key, count in lengths.items())
        problems.append(f"{name}: the numbers of rows differ: {told}")
    if problems:
        raise ProvidedError("\n".join(problems))
    return Rows(found["logits"], found.get("features"), found.get("targets"), ids)


def read_provided(folder: str) -> Provided:
    """What a folder holds; the rows themselves are read when they are asked for.

    Raises:
        ProvidedError: `test` or an OOD set is missing, two files are called alike, or the head cannot be read; all of
            it at once.
    """
    problems: list[str] = []
    sets: dict[str, ProvidedSet] = {}
    others, head = [], None
    for place in sorted(local(folder, "outputs are read").iterdir()):
        if place.name.startswith(".") or place.name == CLASSES:
            continue
        name = place.stem if place.is_file() else place.name
        parts = _parts(place)
        if not parts:
            others.append(place.name)
        elif name == HEAD:
            try:
                head = _head(place)
            except ProvidedError as error:
                problems.append(str(error))
        elif name in sets:
            problems.append(f"{name}: there are two of that name, such as {place.name}")
        else:
            sets[name] = ProvidedSet(name, parts)
    found = Provided(sets, head, class_names(Path(folder)), others)
    if "test" not in sets:
        problems.append("no `test`: the in-distribution images that detectors are tested on")
    if not found.ood:
        problems.append("no OOD set: a file or folder of any other name than test and fit")
    if problems:
        endings = ", ".join(READERS)
        there = f"{', '.join([*sets, *others]) or 'nothing'}"
        raise ProvidedError("\n".join([*problems, f"{folder} holds {there} (a set is a file or folder of {endings})"]))
    return found


def _parts(place: Path) -> list[Callable[[], Rows]]:
    """What reads the rows of one image set; nothing where it is none."""
    if place.is_file():
        return [partial(_read, place.stem, (place,))] if place.suffix.lower() in READERS else []
    files = sorted(path for path in place.iterdir() if path.suffix.lower() in READERS and path.name[0] != ".")
    by_field = [path for path in files if path.stem in FIELDS]
    joined = [partial(_read, place.name, (path,)) for path in files if path.stem not in FIELDS]
    return [partial(_read, place.name, tuple(by_field)), *joined] if by_field else [*joined]


def _read(name: str, files: Sequence[Path]) -> Rows:
    fields: Fields = {}
    for path in files:
        alone = path.stem if path.stem in FIELDS else "logits"
        fields |= read_fields(path, FIELDS, alone)
    return rows_of(name if len(files) > 1 else f"{name} ({files[0].name})", fields)


def _head(place: Path) -> LinearHead:
    files = [place] if place.is_file() else sorted(path for path in place.iterdir() if path.suffix.lower() in READERS)
    fields: Fields = {}
    for path in files:
        fields |= read_fields(path, ("weight", "bias"), path.stem if path.stem == "bias" else "weight")
    return head_of(fields)


def head_of(fields: Mapping[str, Any]) -> LinearHead:
    """The last layer: `weight` (C, D) and `bias` (C,); without bias it is 0.

    Raises:
        ProvidedError: A shape is wrong.
    """
    if "weight" not in fields:
        raise ProvidedError(f"head has no weight (it has: {', '.join(fields) or 'nothing'})")
    weight = as_numbers(HEAD, "weight", fields["weight"], 2)
    given = fields.get("bias")
    bias = torch.zeros(len(weight)) if given is None else as_numbers(HEAD, "bias", given, 1)
    if len(bias) != len(weight):
        raise ProvidedError(f"head: {len(bias):,} biases for {len(weight):,} rows of weights")
    return LinearHead(weight.float(), bias.float())


def class_names(folder: Path) -> tuple[str, ...]:
    """Names of the classes, a line each in `classes.txt`; empty without that file."""
    place = folder / CLASSES
    if not place.is_file():
        return ()
    return tuple(line.strip() for line in place.read_text(encoding="utf-8").splitlines() if line.strip())


def _dimensions(value: Any) -> int:
    return int(value.ndim) if hasattr(value, "ndim") else 2 if value and hasattr(value[0], "__len__") else 1
