"""How a cell is written; formats differ in dash, minus and the separator of thousands only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scaling_ood.comparison.grid import Cell, Heading, Line


@dataclass(frozen=True)
class Hand:
    """The characters of a format.

    Attributes:
        dash: Stands where there is no number.
        minus: Sign of a negative difference.
        thousands: Separates groups of three digits.
    """

    dash: str = "\N{EN DASH}"
    minus: str = "\N{MINUS SIGN}"
    thousands: str = ","

    def write(self, cell: Cell) -> str:
        """The value with its digits; a difference has a sign.

        >>> Hand().write(Cell("difference", -1.25, 1)), Hand().write(Cell("ours", 31411.0, 0))
        ('\N{MINUS SIGN}1.2', '31,411')
        """
        if cell.value is None:
            return self.dash
        sign = "+" if cell.kind == "difference" else ""
        text = f"{cell.value:{sign},.{cell.decimals}f}"
        if cell.kind == "difference" and float(text.replace(",", "")) == 0:
            text = text.replace("-", "+")
        return text.replace(",", self.thousands).replace("-", self.minus)


def shown_labels(lines: tuple[Line, ...]) -> Iterator[tuple[Line, list[Heading | None]]]:
    """Each line with its headings; none where the line above, under the same outer heading, has the same one."""
    above: tuple[str, ...] = ()
    for line in lines:
        texts = tuple(label.text for label in line.labels)
        same = [texts[: depth + 1] == above[: depth + 1] for depth in range(len(texts))]
        yield line, [None if repeated else label for repeated, label in zip(same, line.labels, strict=True)]
        above = texts
