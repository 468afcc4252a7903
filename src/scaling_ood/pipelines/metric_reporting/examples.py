"""In-distribution images that the classifier is unsure of: what the paper's Figure 3 shows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from scaling_ood.datasets import StoredShards
from scaling_ood.detectors import Outputs, build_detector
from scaling_ood.images import RecordedFile, read_pixels, recorded_files
from scaling_ood.parameters.multi_class import ModelSpec
from scaling_ood.pipelines.score_extraction.nodes import StoredOutputs
from scaling_ood.preparation import Preparation
from scaling_ood.report import Example

SHOWN_CLASSES = 5
SIDE_PX = 256


def low_confidence_examples(
    outputs: StoredShards, manifest: pd.DataFrame, prepared: Preparation, spec: ModelSpec, count: int
) -> list[Example]:
    """The test images with the lowest maximum softmax probability, one per class, lowest first."""
    variant = prepared.variants(spec)[0]
    logits = torch.cat([chunk.logits for chunk in StoredOutputs(outputs, "test", variant.name)])  # (N, C)
    rows = manifest[manifest["image_set"] == "test"].reset_index(drop=True).assign(position=range(len(logits)))
    doubt = build_detector("msp").score(Outputs(logits))
    order = doubt.argsort(descending=True).tolist()
    ranked = rows.iloc[order].assign(rank=range(1, len(rows) + 1)).drop_duplicates("class_name").head(count)
    files = recorded_files(ranked, ranked["data_set"].map(prepared.folders))
    shown = zip(ranked.iterrows(), files, strict=True)
    return [_example(row, file, logits[row["position"]], prepared) for (_, row), file in shown]


def _example(row: pd.Series[Any], file: RecordedFile, logits: torch.Tensor, prepared: Preparation) -> Example:
    own = logits.double()
    probability = own.softmax(dim=0)
    top = own.topk(min(SHOWN_CLASSES, len(own))).indices.tolist()
    titles, groups = prepared.titles, prepared.groups
    return Example(
        image=read_pixels(file, SIDE_PX, prepared.orientation),
        true_class=titles[row["label"]],
        top_probabilities=[(titles[k], float(probability[k])) for k in top],
        top_logits=[(titles[k], float(own[k])) for k in top],
        rank=f"lowest but {row['rank'] - 1}" if row["rank"] > 1 else "lowest",
        groups={titles[k]: groups[prepared.group_of_class[k]] for k in top} if groups else {},
    )
