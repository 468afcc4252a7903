"""ONNX files, as `onnx:FILE`: networks with their weights, run as they are."""

from __future__ import annotations

from functools import partial

from scaling_ood.models.backbone import Source
from scaling_ood.models.programs import architecture_of
from scaling_ood.models.programs.onnx_files import read_onnx

PREFIX = "onnx:"

SOURCE = Source(
    lambda name: name.startswith(PREFIX),
    partial(architecture_of, prefix=PREFIX, read=read_onnx),
    lambda: (),
    lambda: f"ONNX files, as '{PREFIX}FILE'",
)
