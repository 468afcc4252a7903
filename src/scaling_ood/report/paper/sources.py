"""What our numbers were measured on, what makes the missing ones, and how far each benchmark has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from scaling_ood.report.table import Gap

Record = Mapping[str, Any]


def gaps_of(records: Iterable[Record]) -> tuple[Gap, ...]:
    """Every reason once, in the order of the numbers."""
    return tuple(dict.fromkeys(Gap(one["gap"], one["command"]) for one in records if one["gap"]))


def sources_of(records: Sequence[Record]) -> list[str]:
    """One sentence per benchmark and aggregation that has numbers: network, counts, base rates."""
    frame = pd.DataFrame(records)
    measured = frame[frame["ours"].notna() & (frame["architecture"] != "")]
    keys = ["benchmark", "aggregation", "positive_class"]
    return [_sentence(part) for _, part in measured.groupby(keys, sort=False)]


def states_of(comparison: pd.DataFrame) -> list[dict[str, Any]]:
    """How far each benchmark of the paper has come, in the order of the tables.

    Returns:
        Of each its `benchmark` and `setting`, the `tables` that it fills, and how many numbers are `published`,
        `measured` here, and `agreeing` within the rounding of print.
    """
    return [
        {
            "benchmark": benchmark,
            "setting": setting,
            "tables": list(dict.fromkeys(part["table"])),
            "published": int(part["published"].notna().sum()),
            "measured": int((part["ours"].notna() & part["published"].notna()).sum()),
            "agreeing": int((part["agrees"] == True).sum()),  # noqa: E712
        }
        for (benchmark, setting), part in comparison.groupby(["benchmark", "setting"], sort=False)
    ]


def _sentence(part: pd.DataFrame) -> str:
    first = part.iloc[0]
    scenes = first["setting"] == "segmentation"
    architectures = ", ".join(dict.fromkeys(part["architecture"]))
    kind = f", {first['aggregation']}" if scenes else ""
    n_in, n_out = (_range(part, name, "{:,.0f}") for name in ("n_in", "n_out"))
    rate = _range(part, "base_rate", "{:.2%}" if scenes else "{:.1%}").replace("%", " %")
    positive = {"ood": "OOD", "in_dist": "in-distribution"}[first["positive_class"]]
    return (
        f"{first['benchmark']} ({architectures}{kind}): per OOD set {n_in} in-distribution and {n_out} OOD "
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
