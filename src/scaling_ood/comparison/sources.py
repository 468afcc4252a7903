"""What stands under a table: what our numbers were measured on, and what makes the ones that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Gap:
    """Why numbers of ours are missing.

    Attributes:
        reason: Names the benchmark, and the detector or the set where it is of one.
        command: What makes them; empty where nothing does.
    """

    reason: str
    command: str


@dataclass(frozen=True)
class BenchmarkState:
    """How far one benchmark has come.

    Attributes:
        benchmark: Its id.
        setting: Its setting.
        tables: Tables that it fills.
        published: Number of published numbers.
        measured: Number of those with one of ours.
        agreeing: Number of those that agree with the paper's within the rounding of print.
        command: What runs it.
    """

    benchmark: str
    setting: str
    tables: tuple[str, ...]
    published: int
    measured: int
    agreeing: int
    command: str


def gaps_of(records: Iterable[Record]) -> tuple[Gap, ...]:
    """Every reason once, in the order of the numbers."""
    return tuple(dict.fromkeys(Gap(one["gap"], one["command"]) for one in records if one["gap"]))


def sources_of(records: Sequence[Record]) -> tuple[str, ...]:
    """One sentence per benchmark and aggregation that has numbers: network, counts, base rates."""
    frame = pd.DataFrame(records)
    measured = frame[frame["ours"].notna() & (frame["network"] != "")]
    keys = ["benchmark", "aggregation", "positive_class"]
    return tuple(_sentence(part) for _, part in measured.groupby(keys, sort=False))


def states_of(comparison: pd.DataFrame) -> tuple[BenchmarkState, ...]:
    """How far each benchmark of the paper has come, in the order of the tables."""
    return tuple(
        BenchmarkState(
            benchmark=str(benchmark),
            setting=str(setting),
            tables=tuple(dict.fromkeys(part["table"])),
            published=int(part["published"].notna().sum()),
            measured=int((part["ours"].notna() & part["published"].notna()).sum()),
            agreeing=int((part["agrees"] == True).sum()),  # noqa: E712
            command=f"kedro run --env {benchmark}",
        )
        for (benchmark, setting), part in comparison.groupby(["benchmark", "setting"], sort=False)
    )


def _sentence(part: pd.DataFrame) -> str:
    first = part.iloc[0]
    scenes = first["setting"] == "segmentation"
    networks = ", ".join(dict.fromkeys(part["network"]))
    kind = f", {first['aggregation']}" if scenes else ""
    n_in, n_out = (_range(part, name, "{:,.0f}") for name in ("n_in", "n_out"))
    rate = _range(part, "base_rate", "{:.2%}" if scenes else "{:.1%}").replace("%", " %")
    positive = {"ood": "OOD", "in_dist": "in-distribution"}[first["positive_class"]]
    return (
        f"{first['benchmark']} ({networks}{kind}): per OOD set {n_in} in-distribution and {n_out} OOD "
        f"{'pixels' if scenes else 'images'}; base rate {rate}, positive class {positive}{_over(part)}"
    )


def _over(part: pd.DataFrame) -> str:
    """The sets of a mean, where the paper does not say over which its own is."""
    open_means = part.loc[(part["ood_set"] == "mean") & part["mean_of"].str.contains(";"), "mean_of"]
    return "".join(f"; mean over {sets.replace(';', ', ')}" for sets in dict.fromkeys(open_means))


def _range(part: pd.DataFrame, name: str, form: str) -> str:
    """A count or share, or its least and largest value; `?` where the results do not say."""
    ends = (part[f"{name}_least"].min(), part[f"{name}_most"].max())
    return " to ".join(dict.fromkeys("?" if pd.isna(end) else form.format(end) for end in ends))
