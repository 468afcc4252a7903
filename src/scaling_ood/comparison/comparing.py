"""Our number beside each published one, and the difference; where there is none, why, and what makes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from scaling_ood.comparison.counterparts import counterpart_of
from scaling_ood.comparison.facts import FACT_COLUMNS
from scaling_ood.comparison.finding import NoNumberError, Ours, Runs, find_in_facts, find_in_results, runs_of
from scaling_ood.comparison.published import PublishedNumber, published_numbers
from scaling_ood.records import METRICS, RESULT_COLUMNS
from scaling_ood.report.tables import as_text

COMPARISON_COLUMNS = (
    "table",
    "in_dist",
    "model",
    "row",
    "column",
    "ood_set",
    "detector",
    "metric",
    "positive_class",
    "note",
    "benchmark",
    "setting",
    "aggregation",
    "published",
    "decimals",
    "ours",
    "ours_sd",
    "ours_low",
    "ours_high",
    "difference",
    "agrees",
    "network",
    *(f"{count}_{end}" for count in ("n_in", "n_out", "base_rate") for end in ("least", "most")),
    "mean_of",
    "gap",
    "command",
)
"""One row per published number (two where the paper does not say how pixels are aggregated).

- `table` to `note`: the published number, see `PublishedNumber`. `published`: its value, in per cent or a count; empty
  where it is missing; `decimals` of its digits are printed after the point.
- `benchmark`, `setting`, `aggregation`: where ours is.
- `ours`: unrounded, in the unit of `published`; `ours_sd`: its standard deviation over seeds;
  `ours_low`, `ours_high`: its 95 % interval.
- `difference`: ours minus published, in points (or images); `agrees`: whether it is within the rounding of the print.
- `network`, `mean_of`: of ours. `n_in_least`, `n_in_most`, and so for `n_out` and `base_rate`: range over the OOD sets.
- `gap`: why there is no number of ours; `command`: what makes it, where something does.
"""

_NUMBERS = ("published", "decimals", "ours", "ours_sd", "ours_low", "ours_high", "difference")


def compare(
    results: pd.DataFrame,
    published: Sequence[PublishedNumber] | None = None,
    facts: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Find our number for each published one.

    Args:
        results: Rows of any number of `results.csv`; benchmarks that the paper does not have are left aside.
        published: All of the paper's by default.
        facts: Sizes of data sets and mAP, see `gather_facts`; none by default.

    Returns:
        With the columns of `COMPARISON_COLUMNS`, in the order of print.

    Raises:
        ValueError: A published number has two rows of ours that differ in no public column.
    """
    numbers = published_numbers() if published is None else published
    runs = runs_of(results.reindex(columns=list(RESULT_COLUMNS)))
    known = facts if facts is not None else pd.DataFrame(columns=list(FACT_COLUMNS))
    rows = [row for number in numbers for row in _rows(number, runs, known)]
    return pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))


def typed(comparison: pd.DataFrame) -> pd.DataFrame:
    """A comparison that was read from a CSV file as it was before: empty text is text, marks are true or false."""
    numeric = [name for name in COMPARISON_COLUMNS if name in _NUMBERS or name.endswith(("_least", "_most"))]
    texts = [name for name in COMPARISON_COLUMNS if name not in (*numeric, "agrees")]
    columns: dict[str, Any] = {name: comparison[name].map(as_text) for name in texts}
    columns["agrees"] = comparison["agrees"].map(lambda mark: {"true": True, "false": False}.get(as_text(mark).lower()))
    return comparison.assign(**columns)


def _rows(number: PublishedNumber, runs: Runs, facts: pd.DataFrame) -> Iterator[dict[str, Any]]:
    place = counterpart_of(number)
    for aggregation in place.aggregations if number.metric in METRICS else ("",):
        fixed = {name: getattr(number, name) for name in COMPARISON_COLUMNS if hasattr(number, name)}
        fixed |= {"benchmark": place.benchmark, "setting": place.setting, "aggregation": aggregation}
        fixed |= {"published": float(number.value or "nan"), "decimals": number.decimals}
        try:
            if number.metric in METRICS:
                found = find_in_results(number, place, aggregation, runs)
            else:
                found = find_in_facts(number, place, facts)
        except NoNumberError as missing:
            yield fixed | {"gap": missing.reason, "command": missing.command}
        else:
            yield fixed | _beside(number, found)


def _beside(number: PublishedNumber, found: Ours) -> dict[str, Any]:
    """Our number in the unit of print, and how far it is from what is printed."""
    scale = 100 if number.quantity.is_share else 1
    value = scale * found.value
    fields = {
        "ours": value,
        "ours_sd": scale * found.sd,
        "ours_low": scale * found.interval[0],
        "ours_high": scale * found.interval[1],
        "network": found.network,
        "mean_of": found.mean_of,
        **found.ranges,
        "gap": "",
        "command": "",
    }
    if number.value:
        difference = value - float(number.value)
        # A hair more than half a digit: what lies exactly between two prints agrees with both.
        fields |= {"difference": difference, "agrees": abs(difference) <= 0.5 * 10**-number.decimals + 1e-9}
    return fields
