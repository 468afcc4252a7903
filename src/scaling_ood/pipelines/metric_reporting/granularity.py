"""The paper's Figure 3 as a controlled experiment: the same images under fine and under coarse labels."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import torch

from scaling_ood.datasets import StoredShards
from scaling_ood.metrics import arbitrary_groups, dispersal
from scaling_ood.parameters.multi_class import ModelSpec
from scaling_ood.pipelines.score_extraction.nodes import StoredOutputs
from scaling_ood.preparation import Preparation
from scaling_ood.records import METRICS


def compare_labels(
    outputs: StoredShards, prepared: Preparation, metrics: pd.DataFrame, spec: ModelSpec
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics and dispersal by kind of labels, means over the seeds.

    Returns:
        `labels, detector, ood_set, fpr95, auroc, aupr`; and `labels, image_set, dispersal, arbitrary`: the mean mass
        beside the top class within its group, and the same in groups of as many arbitrary classes. Coarse classes have
        no look-alikes: their groups are arbitrary ones, and both columns agree.
    """
    first = metrics[metrics["positive_class"] == metrics["positive_class"].iloc[0]] if len(metrics) else metrics
    mean = first.groupby(["labels", "detector", "ood_set"], sort=False)[list(METRICS)].mean().reset_index()
    rows = []
    size = Counter(prepared.group_of_class).most_common(1)[0][1]
    for variant in prepared.variants(spec):
        control = arbitrary_groups(variant.classes, size, prepared.seed)
        groups = torch.tensor(prepared.group_of_class) if variant.labels == "fine" else control
        for image_set in prepared.scored_sets:
            logits = torch.cat([chunk.logits for chunk in StoredOutputs(outputs, image_set, variant.name)])
            values = {"dispersal": dispersal(logits, groups), "arbitrary": dispersal(logits, control)}
            rows.append(
                {"labels": variant.labels, "image_set": image_set, **{k: float(v.mean()) for k, v in values.items()}}
            )
    spread = pd.DataFrame(rows).groupby(["labels", "image_set"], sort=False).mean().reset_index()
    return mean, spread
