"""TorchScript archives, as `torchscript:FILE`: segmenters with their weights, run as they are."""

from __future__ import annotations

from functools import partial

from scaling_ood.models.programs.torchscript import read_torchscript
from scaling_ood.models.segmentation.programs import segmenter_of
from scaling_ood.models.segmentation.sources import SegmenterSource

PREFIX = "torchscript:"

SOURCE = SegmenterSource(
    lambda name: name.startswith(PREFIX),
    partial(segmenter_of, prefix=PREFIX, read=read_torchscript),
    f"TorchScript archives, as '{PREFIX}FILE'",
)
