"""What reporting hands over to the outside: rows of the results table, and what a tracked run shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RESULT_COLUMNS = (
    "benchmark",
    "setting",
    "in_dist",
    "ood_set",
    "detector",
    "positive_class",
    "aggregation",
    "n_in",
    "n_out",
    "base_rate",
    "fpr95",
    "auroc",
    "aupr",
    "fpr95_sd",
    "auroc_sd",
    "aupr_sd",
    "fpr95_low",
    "fpr95_high",
    "auroc_low",
    "auroc_high",
    "aupr_low",
    "aupr_high",
    "fpr95_tied",
    "auroc_tied",
    "aupr_tied",
    "seeds",
    "distinct_scores",
    "infinite_scores",
    "targets",
    "ood_source",
    "noise_range",
    "mean_of",
    "fpr_rule",
    "model",
    "network",
    "skipped",
    "gap",
    "tpr_at_5_fpr",
    "tpr_at_5_fpr_sd",
    "tpr_at_5_fpr_low",
    "tpr_at_5_fpr_high",
)
"""Columns of `results.csv`. The first thirteen are the public ones, in their order; others rely on them.

One row per detector and OOD set (with a positive class and an aggregation), plus rows of means. Metrics and base rate
are fractions in [0, 1]; metrics are means over the seeds of the model, `*_sd` their standard deviations (empty for one
seed).

- `ood_set`: name of the set, or `mean` (over all sets), `mean_photographs`, `mean_noise`, `mean_fabricated`; `mean_of`
  then lists the sets, joined by `;`.
- `base_rate`: share of the positive class among the n_in + n_out images; empty in rows of means.
- `*_low`, `*_high`: 95 % interval of the metric; see docs/metrics.md.
- `*_tied`: whether the detector cannot be told from the best of its column on this OOD set; empty in rows of means.
- `distinct_scores`: number of distinct scores among the row's images (for several seeds the smallest).
- `infinite_scores`: number of infinite scores among the row's images or pixels (for several seeds the largest), which
  rank first or last, and tie.
- `targets`: what the network tells apart, the `classes` or the `coarse` groups that they form.
- `ood_source`: `photographs`, `noise` or `fabricated`. `noise_range`: `pixel` or `tensor`, for noise only.
- `model`: architecture of the network whose outputs the detector reads; `network`: its name in the benchmark.
- `skipped`: images without both kinds of pixels, which a mean per image leaves out; empty for whole images.
- `gap`: why there is no number; empty where there is one.
- `tpr_at_5_fpr`: share of the OOD images or pixels that are caught at 5 % false alarms, whichever class is the positive
  one.
"""

METRICS = ("fpr95", "auroc", "aupr")
"""The three metrics, in the paper's order; for the first, lower is better."""

CAUGHT = "tpr_at_5_fpr"
"""What an engineer asks beside them: how much OOD is caught at 5 % false alarms. No table ranks detectors by it."""

MEASURED = (*METRICS, CAUGHT)
"""All that is measured."""


@dataclass(frozen=True)
class UsedImages:
    """One image set that a tracked run used.

    Attributes:
        data_set: Whose images.
        role: Name of the image set.
        digest: Fingerprint of their ids, targets and contents.
        folder: Relative to the photographs or to what was rendered.
        images: Their number.
        classes: Number of classes that they show; 0 where nobody says.
    """

    data_set: str
    role: str
    digest: str
    folder: str
    images: int
    classes: int


@dataclass(frozen=True)
class RunRecord:
    """One tracked run under the `kedro run` that wrote it.

    Attributes:
        name: Shown in the list of runs, the setting and the detector.
        tags: What runs are filtered and compared by; `kind` is `detector` or `training`.
        parameters: Flat; the same names in every setting.
        metrics: Last values, such as `auroc.textures` or `auroc.mean`.
        curves: Values per step, from step 1, such as `{"train_loss": [2.1, 1.7]}`.
        figures: File stem to Plotly or Matplotlib figure.
        tables: File stem to data frame.
        inputs: Images that it used.
        weights: File of the networks that it trained, and its SHA-256; None where it trained none.
    """

    name: str
    tags: Mapping[str, str]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[UsedImages] = ()
    weights: tuple[str, str] | None = None
