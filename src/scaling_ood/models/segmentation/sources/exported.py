"""Programs of torch.export, as `pt2:FILE`: segmenters with their weights, run as they are."""

from __future__ import annotations

from functools import partial

from scaling_ood.models.programs.exported import read_exported
from scaling_ood.models.segmentation.programs import segmenter_of
from scaling_ood.models.segmentation.sources import SegmenterSource

PREFIX = "pt2:"

SOURCE = SegmenterSource(
    lambda name: name.startswith(PREFIX),
    partial(segmenter_of, prefix=PREFIX, read=read_exported),
    f"programs of torch.export, as '{PREFIX}FILE'",
)
