"""ONNX files, as `onnx:FILE`: segmenters with their weights, run as they are."""

from __future__ import annotations

from functools import partial

from scaling_ood.models.programs.onnx_files import read_onnx
from scaling_ood.models.segmentation.programs import segmenter_of
from scaling_ood.models.segmentation.sources import SegmenterSource

PREFIX = "onnx:"

SOURCE = SegmenterSource(
    lambda name: name.startswith(PREFIX),
    partial(segmenter_of, prefix=PREFIX, read=read_onnx),
    f"ONNX files, as '{PREFIX}FILE'",
)
