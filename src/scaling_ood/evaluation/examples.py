"""In-distribution images that the classifier is unsure of: what the paper's Figure 3 shows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from scaling_ood.detectors import Outputs, build_detector
from scaling_ood.evaluation.chunks import ImageOutputs, seed_name
from scaling_ood.images import RecordedFile, read_pixels
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredShards
from scaling_ood.report import Example

SHOWN_CLASSES = 5
SIDE_PX = 256


def low_confidence_examples(outputs: StoredShards, manifest: Manifest, count: int) -> list[Example]:
    """The test images with the lowest maximum softmax probability, one per class, lowest first."""
    logits = ImageOutputs(outputs, "test", seed_name(outputs.about["seeds"][0])).logits()  # (N, C)
    rows = manifest.of("test").reset_index(drop=True).assign(position=range(len(logits)))
    doubt = build_detector("msp").score(Outputs(logits))
    order = doubt.argsort(descending=True).tolist()
    ranked = rows.iloc[order].assign(rank=range(1, len(rows) + 1)).drop_duplicates("class_name").head(count)
    shown = zip(ranked.iterrows(), manifest.files(ranked), strict=True)
    return [_example(row, file, logits[row["position"]], manifest) for (_, row), file in shown]


def _example(row: pd.Series[Any], file: RecordedFile, logits: torch.Tensor, manifest: Manifest) -> Example:
    own = logits.double()
    probability = own.softmax(dim=0)
    top = own.topk(min(SHOWN_CLASSES, len(own))).indices.tolist()
    classes = manifest.preparation.of_classes
    titles, groups = classes.titles, classes.groups
    return Example(
        image=read_pixels(file, SIDE_PX, manifest.preparation.orientation),
        true_class=titles[row["label"]],
        top_probabilities=[(titles[k], float(probability[k])) for k in top],
        top_logits=[(titles[k], float(own[k])) for k in top],
        rank=f"lowest but {row['rank'] - 1}" if row["rank"] > 1 else "lowest",
        groups={titles[k]: groups[classes.group_of_class[k]] for k in top} if groups else {},
    )
