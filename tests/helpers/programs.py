"""Small networks for files that hold whole networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn


class Small(nn.Module):
    """Two convolutions, a branch that depends on the size of the input, and a linear layer."""

    def __init__(self, classes: int = 4, softmax: bool = False) -> None:
        """Set random weights, always the same."""
        torch.manual_seed(0)
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, 2, 1)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 8, 3, 2, 1)
        self.fc = nn.Linear(8, classes)
        self.softmax = softmax

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What the linear layer reads."""
        maps = nn.functional.gelu(self.second(torch.relu(self.norm(self.first(images)))))
        return torch.flatten(nn.functional.adaptive_avg_pool2d(maps, 1), 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits, or probabilities."""
        logits: torch.Tensor = self.fc(self.features(images))
        return logits.softmax(1) if self.softmax else logits


def export_onnx(model: nn.Module, file: Path, px: int = 16, *, batch: int = 0) -> Path:
    """As a person would; any number of images unless told so many."""
    dynamic = None if batch else {"images": {0: "batch"}}
    names = {"input_names": ["images"], "output_names": ["scores"]}
    args: Any = (torch.zeros(batch or 1, 3, px, px),)
    torch.onnx.export(model.eval(), args, str(file), dynamic_axes=dynamic, dynamo=False, **names)
    onnx.checker.check_model(str(file))
    return file


def export_pt2(model: nn.Module, file: Path, px: int = 16, *, batch: int = 0, any_size: bool = False) -> Path:
    """The same by torch.export."""
    dims: dict[int, Any] = {} if batch else {0: torch.export.Dim("batch", min=1, max=4096)}
    if any_size:
        dims |= {side: 8 * torch.export.Dim(f"side{side}", min=1, max=64) for side in (2, 3)}
    args = (torch.zeros(batch or 2, 3, px, px),)
    torch.export.save(torch.export.export(model.eval(), args, dynamic_shapes=(dims,) if dims else None), file)
    return file


def export_torchscript(model: nn.Module, file: Path, px: int = 16) -> Path:
    """The same by tracing."""
    torch.jit.trace(model.eval(), torch.zeros(1, 3, px, px)).save(str(file))  # type: ignore[no-untyped-call]
    return file
