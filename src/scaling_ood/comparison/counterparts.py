"""Which benchmark here measures what the paper calls by an in-distribution set and a network."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from scaling_ood.comparison.published import PublishedNumber


@dataclass(frozen=True)
class Counterpart:
    """Where our number for a published one is.

    Attributes:
        benchmark: Its id, which is also its environment.
        setting: `multi_class`, `multi_label` or `segmentation`.
        aggregations: Rows of `results.csv` to compare with: the paper's kind, or several where it does not say; none
            where only sizes of data sets are compared.
    """

    benchmark: str
    setting: str
    aggregations: tuple[str, ...]

    def command(self, stage: str = "") -> str:
        """What makes the number, or the one stage that does.

        >>> Counterpart("voc", "multi_label", ("pooled",)).command("data_preparation")
        'kedro run --env voc --pipelines data_preparation'
        """
        return f"kedro run --env {self.benchmark}" + (f" --pipelines {stage}" if stage else "")


@cache
def counterparts() -> dict[tuple[str, str], Counterpart]:
    """Counterpart by the paper's in-distribution set and network; an empty network stands for any."""
    content = resources.files(__package__).joinpath("counterparts.csv").read_text(encoding="utf-8")
    found = {}
    for row in csv.DictReader(content.splitlines()):
        aggregations = tuple(name for name in row["aggregations"].split(";") if name)
        found[row["in_dist"], row["model"]] = Counterpart(row["benchmark"], row["setting"], aggregations)
    return found


def counterpart_of(number: PublishedNumber) -> Counterpart:
    """Where our number for this one is.

    Raises:
        KeyError: The data files do not fit together.
    """
    known = counterparts()
    key = (number.in_dist, number.model)
    return known[key if key in known else (number.in_dist, "")]
