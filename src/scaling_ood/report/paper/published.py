"""What the paper printed: every number of Tables 1 to 7, and the results and data set sizes that stand in its text.

Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings" (ICML 2022). Hyper-parameters, and
what the authors estimated by hand (label noise) or counted in data that nothing here reads, are left out. Three files
hold it all: `published.csv` the numbers, `footnotes.csv` what must be known beside them, `counterparts.csv` which
benchmark here measures them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from scaling_ood.wording import refuse_unknown

TABLES = ("1", "2", "3", "4", "5", "6", "7", "text")
"""The paper's tables, and the numbers that stand in its text only."""

SCOPE = ("in_dist", "model", "row", "detector", "metric")
"""What a footnote can be about; all that it names must agree."""

Place = tuple[str, str]
"""A benchmark's id and its setting."""


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
        return _parts(self.ood_set)

    @property
    def decimals(self) -> int:
        """Printed digits after the point."""
        return len(self.value.partition(".")[2])


@dataclass(frozen=True)
class Footnote:
    """Where the paper contradicts itself or its code, or stays silent.

    Attributes:
        text: One or two sentences.
        tables: Tables in which it stands.
        scope: Part of `SCOPE` to the values that it is about; without any it is about the whole table.
    """

    text: str
    tables: tuple[str, ...]
    scope: Mapping[str, tuple[str, ...]]

    def is_about(self, number: Mapping[str, str]) -> bool:
        """Whether a number, or a heading known by some of `SCOPE`, is among those that it is about.

        >>> swapped = next(note for note in footnotes() if "swapped" in note.text)
        >>> swapped.is_about({"in_dist": "FS Lost and Found", "detector": "max_logit", "metric": "aupr"})
        True
        >>> swapped.is_about({"in_dist": "FS Lost and Found"})
        False
        """
        return all(number.get(part) in values for part, values in self.scope.items())


@dataclass(frozen=True)
class Counterpart:
    """Where our number for a published one is.

    Attributes:
        benchmark: Its id, which is also its environment.
        setting: Its setting.
        aggregations: Rows of `results.csv` to compare with: the paper's kind, or several where it does not say; none
            where only sizes of data sets are compared.
    """

    benchmark: str
    setting: str
    aggregations: tuple[str, ...]

    @property
    def place(self) -> Place:
        """Whose products hold it."""
        return self.benchmark, self.setting

    def command(self, stage: str = "") -> str:
        """What makes the number, or the one stage that does.

        >>> Counterpart("voc", "multi_label", ("pooled",)).command("data_preparation")
        'kedro run --env voc --pipelines data_preparation'
        """
        return f"kedro run --env {self.benchmark}" + (f" --pipelines {stage}" if stage else "")


def published_numbers(table: str | None = None) -> tuple[PublishedNumber, ...]:
    """The numbers of one table, or all, in the order of print.

    Raises:
        ValueError: There is no such table.

    >>> [(number.in_dist, number.value) for number in published_numbers("1")][8:10]
    [('ImageNet', '45.8'), ('Places365', '52.6')]
    """
    refuse_unknown("table", [] if table is None else [table], TABLES)
    return tuple(number for number in _numbers() if table in (None, number.table))


def counterpart_of(number: PublishedNumber) -> Counterpart:
    """Where our number for this one is: by its in-distribution set and network, or by the set alone."""
    known = counterparts()
    return known.get((number.in_dist, number.model)) or known[number.in_dist, ""]


def places_of(metric: str) -> frozenset[Place]:
    """Whose numbers of one of `QUANTITIES` are compared.

    >>> places_of("map") == {("coco", "multi_label"), ("voc", "multi_label")}
    True
    """
    return frozenset(counterpart_of(number).place for number in _numbers() if number.metric == metric)


@cache
def counterparts() -> dict[tuple[str, str], Counterpart]:
    """Counterpart by the paper's in-distribution set and network; an empty network stands for any."""
    return {
        (row["in_dist"], row["model"]): Counterpart(row["benchmark"], row["setting"], _parts(row["aggregations"]))
        for row in _lines("counterparts.csv")
    }


@cache
def footnotes() -> tuple[Footnote, ...]:
    """All footnotes, in the order in which they are numbered within a table."""
    return tuple(
        Footnote(row["text"], _parts(row["table"]), {part: _parts(row[part]) for part in SCOPE if row[part]})
        for row in _lines("footnotes.csv")
    )


@cache
def _numbers() -> tuple[PublishedNumber, ...]:
    return tuple(PublishedNumber(**row) for row in _lines("published.csv"))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(";") if part)


def _lines(file: str) -> list[dict[str, str]]:
    content = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    return list(csv.DictReader(content.splitlines()))
