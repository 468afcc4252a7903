"""What the paper printed: every number of Tables 1 to 7, and the results and data set sizes that stand in its text.

Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings" (ICML 2022). Hyper-parameters, and
what the authors estimated by hand (label noise) or counted in data that nothing here reads, are left out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import resources

from scaling_ood.images.wording import unknown
from scaling_ood.records import METRICS

TABLES = ("1", "2", "3", "4", "5", "6", "7", "text")
"""The paper's tables, and the numbers that stand in its text only."""


@dataclass(frozen=True)
class Quantity:
    """What a number measures.

    Attributes:
        title: As a heading, with the arrow that says which way is better.
        is_share: Printed in per cent; ours is a fraction.
        better: 1 where higher is better, -1 where lower is, 0 where neither.
    """

    title: str
    is_share: bool
    better: int


QUANTITIES = {
    "fpr95": Quantity("FPR95 \N{DOWNWARDS ARROW}", True, -1),
    "auroc": Quantity("AUROC \N{UPWARDS ARROW}", True, 1),
    "aupr": Quantity("AUPR \N{UPWARDS ARROW}", True, 1),
    "map": Quantity("mAP \N{UPWARDS ARROW}", True, 1),
    "anomalous_share": Quantity("% of pixels", True, 0),
    "images": Quantity("images", False, 0),
    "classes": Quantity("classes", False, 0),
}
"""Every metric of the published numbers."""


@dataclass(frozen=True)
class PublishedNumber:
    """One printed number.

    Attributes:
        table: One of `TABLES`.
        in_dist: In-distribution set, in the paper's words.
        model: The network, in the paper's words; empty where it is not named.
        row: Label of the row, in the paper's words.
        column: Label of the column under its metric or network, in the paper's words.
        ood_set: OOD set by the name it has here; several, joined by `;`, for a mean (or a total); `mean` where the
            paper does not say over which; an image set for sizes.
        detector: By its name here; empty where the number is of no detector.
        metric: One of `QUANTITIES`.
        value: As printed, in per cent or a count without separators; empty where the text that these numbers were
            taken from lacks it.
        positive_class: `ood` or `in_dist`, of the paper's FPR95 and AUPR; empty for other metrics.
        note: Where in the text it stands.
    """

    table: str
    in_dist: str
    model: str
    row: str
    column: str
    ood_set: str
    detector: str
    metric: str
    value: str
    positive_class: str
    note: str

    @property
    def quantity(self) -> Quantity:
        """What it measures."""
        return QUANTITIES[self.metric]

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets that it is over.

        >>> published_numbers("1")[0].sets
        ('gaussian', 'rademacher', 'textures', 'lsun', 'places365')
        """
        return tuple(name for name in self.ood_set.split(";") if name)

    @property
    def decimals(self) -> int:
        """Printed digits after the point."""
        return len(self.value.partition(".")[2])


COLUMNS = tuple(field.name for field in fields(PublishedNumber))
"""Columns of the data file."""


def published_numbers(table: str | None = None) -> tuple[PublishedNumber, ...]:
    """The numbers of one table, or all, in the order of print.

    Raises:
        ValueError: There is no such table.

    >>> [(number.in_dist, number.value) for number in published_numbers("1")][8:10]
    [('ImageNet', '45.8'), ('Places365', '52.6')]
    """
    if table is not None and table not in TABLES:
        raise ValueError(unknown("table", table, TABLES))
    content = resources.files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(number for number in parse_published(content) if table in (None, number.table))


def parse_published(content: str) -> tuple[PublishedNumber, ...]:
    """Numbers of a CSV file with the columns of `COLUMNS`, checked.

    Raises:
        ValueError: Another header, unknown words, values that cannot be, a number twice; all of it at once.
    """
    reader = csv.DictReader(io.StringIO(content))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"published numbers: the columns must be {', '.join(COLUMNS)} (given: {reader.fieldnames})")
    numbers: list[PublishedNumber] = []
    problems: list[str] = []
    seen: dict[tuple[str, ...], int] = {}
    for row in reader:
        line = reader.line_num
        if None in row or None in row.values():
            problems.append(f"line {line}: {len(COLUMNS)} fields are needed")
            continue
        number = PublishedNumber(**row)
        problems += [f"line {line}: {problem}" for problem in _problems(number)]
        key = tuple(row[name] for name in COLUMNS if name not in ("value", "note"))
        if key in seen:
            problems.append(f"line {line}: the same number as in line {seen[key]}")
        seen.setdefault(key, line)
        numbers.append(number)
    if problems:
        raise ValueError("\n".join(["published numbers:", *problems]))
    return tuple(numbers)


def _problems(number: PublishedNumber) -> list[str]:
    return [problem for check in _CHECKS for problem in check(number)]


def _known_words(number: PublishedNumber) -> list[str]:
    words = (("table", number.table, TABLES), ("metric", number.metric, tuple(QUANTITIES)))
    return [unknown(kind, given, known) for kind, given, known in words if given not in known]


def _possible_value(number: PublishedNumber) -> list[str]:
    if number.value == "":
        return []
    if not re.fullmatch(r"\d+(\.\d+)?", number.value):
        return [f"value must be a plain number (given: {number.value!r})"]
    quantity = QUANTITIES.get(number.metric)
    if quantity and quantity.is_share and float(number.value) > 100:  # noqa: PLR2004
        return [f"a share is at most 100 % (given: {number.value})"]
    if quantity and not quantity.is_share and "." in number.value:
        return [f"a count is a whole number (given: {number.value})"]
    return []


def _complete(number: PublishedNumber) -> list[str]:
    if number.metric not in METRICS:
        return [f"{number.metric} is of no detector"] if number.detector or number.positive_class else []
    problems = [] if number.detector else [f"{number.metric} needs a detector"]
    if number.positive_class not in ("ood", "in_dist"):
        problems.append(f"positive_class must be ood or in_dist (given: {number.positive_class!r})")
    if not number.ood_set:
        problems.append(f"{number.metric} needs an ood_set")
    return problems


_CHECKS: tuple[Callable[[PublishedNumber], list[str]], ...] = (_known_words, _possible_value, _complete)
