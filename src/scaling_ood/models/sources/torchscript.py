"""TorchScript archives, as `torchscript:FILE`: networks with their weights, run as they are."""

from __future__ import annotations

from functools import partial

from scaling_ood.models.backbone import Source
from scaling_ood.models.programs import architecture_of
from scaling_ood.models.programs.torchscript import read_torchscript

PREFIX = "torchscript:"

SOURCE = Source(
    lambda name: name.startswith(PREFIX),
    partial(architecture_of, prefix=PREFIX, read=read_torchscript),
    lambda: (),
    lambda: f"TorchScript archives, as '{PREFIX}FILE'",
)
