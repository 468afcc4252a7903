"""Programs of torch.export, as `pt2:FILE`: networks with their weights, run as they are."""

from __future__ import annotations

from functools import partial

from scaling_ood.models.backbone import Source
from scaling_ood.models.programs import architecture_of
from scaling_ood.models.programs.exported import read_exported

PREFIX = "pt2:"

SOURCE = Source(
    lambda name: name.startswith(PREFIX),
    partial(architecture_of, prefix=PREFIX, read=read_exported),
    lambda: (),
    lambda: f"programs of torch.export, as '{PREFIX}FILE'",
)
