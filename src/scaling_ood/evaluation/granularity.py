"""The paper's Figure 3 as a controlled experiment: the same images under fine and under coarse classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import torch

from scaling_ood.evaluation.chunks import ImageOutputs, seed_name
from scaling_ood.metrics import arbitrary_groups, dispersal
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.records import METRICS
from scaling_ood.products.stored import StoredShards


def methods_by_targets(metrics: pd.DataFrame, methods: Mapping[str, Method], coarse: str, shared: str) -> pd.DataFrame:
    """Metrics of each method that reads both networks: `targets, detector, ood_set, fpr95, auroc, aupr`.

    Args:
        metrics: Of all detectors, per seed; means over the seeds are taken.
        methods: Detectors that are on.
        coarse: Name of the network that tells groups of classes apart.
        shared: Of the one that tells classes apart.
    """
    targets = {shared: "classes", coarse: "coarse"}
    of_coarse = {method.method for method in methods.values() if method.network == coarse}
    rows = []
    for name, method in methods.items():
        if method.method in of_coarse and method.network in targets and method.source is None:
            own = metrics[metrics["detector"] == name]
            own = own[own["positive_class"] == own["positive_class"].iloc[0]] if len(own) else own
            mean = own.groupby("ood_set", sort=False)[list(METRICS)].mean().reset_index()
            rows.append(mean.assign(targets=targets[method.network], detector=method.method))
    columns = ["targets", "detector", "ood_set", *METRICS]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def dispersal_by_targets(
    outputs: Mapping[str, StoredShards], manifest: Manifest, image_sets: Sequence[str]
) -> pd.DataFrame:
    """How far probability spreads beside the top class: `targets, image_set, dispersal, arbitrary`.

    The mean mass beside the top class within its group, and the same in groups of as many arbitrary classes. Coarse
    classes have no look-alikes: their groups are arbitrary ones, and both columns agree.

    Args:
        outputs: `classes` and `coarse` to the outputs of the network that tells these apart.
        manifest: All images.
        image_sets: Which are measured.
    """
    rows = pd.DataFrame(row for targets, own in outputs.items() for row in _spread(targets, own, manifest, image_sets))
    return rows.groupby(["targets", "image_set"], sort=False).mean().reset_index()


def _spread(
    targets: str, outputs: StoredShards, manifest: Manifest, image_sets: Sequence[str]
) -> Iterator[dict[str, object]]:
    prepared = manifest.preparation
    groups = prepared.of_classes.group_of_class
    size = Counter(groups).most_common(1)[0][1]
    count = len(prepared.classes if targets == "classes" else prepared.of_classes.groups)
    control = arbitrary_groups(count, size, prepared.seed)
    own = torch.tensor(groups) if targets == "classes" else control
    for seed in outputs.about["seeds"]:
        for image_set in image_sets:
            logits = ImageOutputs(outputs, image_set, seed_name(seed)).logits()
            values = {"dispersal": dispersal(logits, own), "arbitrary": dispersal(logits, control)}
            yield {"targets": targets, "image_set": image_set, **{k: float(v.mean()) for k, v in values.items()}}
