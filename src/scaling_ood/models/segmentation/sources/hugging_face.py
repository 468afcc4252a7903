"""Semantic segmentation of Hugging Face, such as SegFormer: `hf:FOLDER`, or `hf:OWNER/NAME` of the hub."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from scaling_ood.images.transforms import Preprocessing
from scaling_ood.models.hugging_face import HF, saved
from scaling_ood.models.segmentation.sources import SegmenterSource
from scaling_ood.models.segmentation.whole import WholeSegmenter

AUTO = "AutoModelForSemanticSegmentation"
_ANY_PX = 512


@lru_cache(maxsize=8)
def hugging_face_segmenter(name: str) -> WholeSegmenter:
    """A segmenter of Hugging Face; mean and standard deviation are those of its image processor.

    Raises:
        ValueError: There is no such folder or repository, it is no segmenter, it brings code, or its weights are
            pickled; or transformers is not installed.
    """
    found = saved(name, AUTO)
    levels = found.levels
    return WholeSegmenter(
        lambda classes, pretrained: (found if pretrained else found.of_classes(classes)).build(AUTO, pretrained),
        _run,
        preprocessing=Preprocessing(_ANY_PX, _ANY_PX, "bilinear", *levels) if levels else None,
        classes=len(found.config.id2label),
        weights=found.words,
        weights_digest=found.digest,
        class_names=found.class_names,
        identity=found.identity,
        files=found.files,
    )


def _run(network: Any, images: torch.Tensor) -> Any:
    return network(pixel_values=images).logits


SOURCE = SegmenterSource(
    lambda name: name.startswith(HF),
    hugging_face_segmenter,
    f"semantic segmenters of Hugging Face, as '{HF}<folder or id>'",
)
