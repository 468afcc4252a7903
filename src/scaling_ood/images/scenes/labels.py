"""From the ids in a label image to the ids that a network learns, with anomalies and void told apart.

Train ids are uint8: 0 .. classes - 1, and the two constants below. Void pixels are neither trained on nor measured;
anomalous pixels are measured and must not be trained on.
"""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling_ood.wording import listed, refuse_unknown, unknown

VOID = 255
"""Train id of pixels that count neither as in-distribution nor as anomalous."""

ANOMALY = 254
"""Train id of anomalous pixels."""

_UNKNOWN = 253
RAW_IDS = 256
"""How many ids an 8-bit label image can hold."""

Role = Literal["class", "anomaly", "void"]
Colour = tuple[int, int, int]

_ANOMALY_COLOUR: Colour = (60, 250, 240)
_GOLDEN_RATIO = 0.618034


class UnknownLabelError(ValueError):
    """A label image holds ids that its table does not know."""


class LabelRow(NamedTuple):
    """What one id in a label image means.

    Attributes:
        raw_id: Value in the file, 0..255.
        name: Unique in its table.
        colour: sRGB, for figures.
        role: `class`, `anomaly` or `void`.
        train_id: The network's output for this class; None for the other roles.
    """

    raw_id: int
    name: str
    colour: Colour
    role: Role
    train_id: int | None


@dataclass(frozen=True)
class LabelMap:
    """A data set's label ids and what becomes of them.

    Attributes:
        name: By which errors call it.
        rows: One per raw id.
        classes: Name of each train id; the first of several ids that share one. `classes` has one entry where the data
            set tells known from anomalous only; there is no segmentation truth then.
    """

    name: str
    rows: tuple[LabelRow, ...]
    classes: tuple[str, ...]

    @classmethod
    def from_rows(cls, name: str, rows: Sequence[LabelRow]) -> LabelMap:
        """A checked map.

        Raises:
            ValueError: Ids or names twice, ids that no 8-bit image holds, train ids with gaps; all of it at once.
        """
        problems = _problems(rows)
        if problems:
            raise ValueError(f"label map {name}: {'; '.join(problems)}")
        first = {row.train_id: row.name for row in reversed(rows) if row.train_id is not None}
        return cls(name, tuple(rows), tuple(first[train_id] for train_id in sorted(first)))

    @classmethod
    def from_ids(
        cls,
        name: str,
        ids: Mapping[int, int | str] | Mapping[str, int | str],
        names: Mapping[int, str] | Mapping[str, str] | None = None,
    ) -> LabelMap:
        """A map written out as `{raw id: train id, anomaly or void}`, as the general reader's YAML gives it.

        Args:
            name: By which errors call it.
            ids: Several raw ids may share a train id. Train ids start at 0 and have no gaps.
            names: Of raw ids; by default `label <raw id>`.

        Raises:
            ValueError: Anything that is no id or no role; all of it at once.

        >>> LabelMap.from_ids("mine", {0: "void", 1: 0, 2: 1, 9: "anomaly"}, {1: "road", 2: "car"}).classes
        ('road', 'car')
        """
        titles = {str(raw_id): title for raw_id, title in (names or {}).items()}
        strangers = sorted(titles.keys() - {str(raw_id) for raw_id in ids})
        problems = [f"names for ids that are not there: {', '.join(strangers)}"] if strangers else []
        rows = []
        for raw_id, meaning in ids.items():
            if not _is_id(raw_id):
                problems.append(f"'{raw_id}' is no label id (0..{RAW_IDS - 1})")
            elif not _is_id(meaning) and meaning not in ("anomaly", "void"):
                problems.append(f"id {raw_id}: " + unknown("meaning", str(meaning), ["a train id", "anomaly", "void"]))
            else:
                rows.append(_row(int(raw_id), meaning, titles.get(str(raw_id), f"label {raw_id}")))
        if problems:
            raise ValueError(f"label map {name}: {'; '.join([*problems, *_problems(rows)])}")
        return cls.from_rows(name, rows)

    def masking(self, name: str, masked: str) -> LabelMap:
        """The same map under a new name with one class void.

        All train ids stay, so that one network can be measured both ways; the masked class's output is left without
        a pixel.

        Raises:
            ValueError: There is no such class.
        """
        refuse_unknown("class", [masked], self.classes, f"label map {self.name}")
        train_id = self.classes.index(masked)
        rows = tuple(row._replace(role="void", train_id=None) if row.train_id == train_id else row for row in self.rows)
        return replace(self, name=name, rows=rows)

    @cached_property
    def lookup(self) -> NDArray[np.uint8]:
        """Train id by raw id: (256,)."""
        table = np.full(RAW_IDS, _UNKNOWN, np.uint8)
        for row in self.rows:
            table[row.raw_id] = _train_id(row)
        return table

    @cached_property
    def palette(self) -> NDArray[np.uint8]:
        """Colour of each train id, `ANOMALY` and `VOID` included: (256, 3), sRGB."""
        colours = np.zeros((RAW_IDS, 3), np.uint8)
        for row in reversed(self.rows):
            colours[_train_id(row)] = row.colour
        return colours

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits over what each id becomes; names and colours play no part."""
        return hashlib.sha256(self.lookup.tobytes() + bytes([len(self.classes)])).hexdigest()[:16]

    def ids(self, role: Role) -> list[int]:
        """Raw ids of that role."""
        return [row.raw_id for row in self.rows if row.role == role]

    def unknown_ids(self, raw_ids: Sequence[int]) -> list[int]:
        """Those of the ids that the map does not know."""
        return [raw_id for raw_id in raw_ids if self.lookup[raw_id] == _UNKNOWN]

    def complaint(self, unknown_ids: Sequence[int]) -> str:
        """Which ids are wrong, and which there are."""
        wrong, known = (listed([str(each) for each in ids], 30) for ids in (unknown_ids, [r.raw_id for r in self.rows]))
        return f"label ids {wrong} are not in {self.name} (known: {known})"

    def apply(self, raw: NDArray[np.uint8], source: str = "label image") -> NDArray[np.uint8]:
        """Train ids of a label image.

        Args:
            raw: (H, W) uint8, as in the file.
            source: Of the array, for errors.

        Returns:
            (H, W) uint8: train ids, `ANOMALY` and `VOID`.

        Raises:
            UnknownLabelError: Ids that the map does not know; names the source, the ids and the known ones.
            TypeError: Not uint8.
        """
        if raw.dtype != np.uint8:
            raise TypeError(f"{source}: label ids must be uint8, not {raw.dtype}")
        # Bytes are looked up in half the time that NumPy needs, which makes 8-byte indices of them.
        mapped = np.frombuffer(bytearray(raw.tobytes()).translate(self.lookup.tobytes()), np.uint8).reshape(raw.shape)
        if (mapped == _UNKNOWN).any():
            raise UnknownLabelError(f"{source}: {self.complaint(self.unknown_ids(np.unique(raw).tolist()))}")
        return mapped


def _train_id(row: LabelRow) -> int:
    return row.train_id if row.train_id is not None else (ANOMALY if row.role == "anomaly" else VOID)


def _is_id(value: object) -> bool:
    return not isinstance(value, bool) and str(value).isascii() and str(value).isdigit() and int(str(value)) < RAW_IDS


def _row(raw_id: int, meaning: int | str, name: str) -> LabelRow:
    if meaning == "anomaly":
        return LabelRow(raw_id, name, _ANOMALY_COLOUR, "anomaly", None)
    if meaning == "void":
        return LabelRow(raw_id, name, (0, 0, 0), "void", None)
    train_id = int(meaning)
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(train_id * _GOLDEN_RATIO % 1, 0.6, 0.8))
    return LabelRow(raw_id, name, (red, green, blue), "class", train_id)


def _problems(rows: Sequence[LabelRow]) -> list[str]:
    problems = []
    for what, values in (("id", [str(row.raw_id) for row in rows]), ("name", [row.name for row in rows])):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            problems.append(f"{what} {listed(twice)} more than once")
    split = [row.name for row in rows if ";" in row.name]
    if split:
        problems.append(f"a semicolon in {listed(split)}")
    train_ids = sorted({row.train_id for row in rows if row.train_id is not None})
    if train_ids != list(range(len(train_ids))) or not 0 < len(train_ids) <= _UNKNOWN:
        given = listed([str(train_id) for train_id in train_ids], 30) or "none"
        problems.append(f"train ids must be 0, 1, 2, … without a gap, at most {_UNKNOWN} of them (given: {given})")
    return problems
