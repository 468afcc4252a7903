"""What a fit view may know besides outputs: the classes of its images, and the classifier's last layer."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from scaling_ood.detectors.base import NotApplicableError
from scaling_ood.detectors.head import LinearHead
from scaling_ood.detectors.outputs import Outputs, OutputsView


def head_of(view: OutputsView) -> LinearHead:
    """The classifier's last layer.

    Raises:
        NotApplicableError: It is not known.
    """
    if view.head is None:
        raise NotApplicableError("the classifier's last linear layer is not known")
    return view.head


def targets_of(view: OutputsView) -> torch.Tensor:
    """Class of each fit image, (N,) int64, at least 0.

    Raises:
        NotApplicableError: They are not known.
        ValueError: A class is negative.
    """
    targets = view.targets
    if targets is None:
        raise NotApplicableError("the classes of the fit images are not known")
    if len(targets) and targets.min() < 0:
        raise ValueError(f"the class of a fit image must be at least 0, not {int(targets.min())}")
    return targets.long()


def beside(view: OutputsView, values: torch.Tensor) -> Iterator[tuple[Outputs, torch.Tensor]]:
    """Each chunk with its images' values, of values (N, ...) for the whole view, on the chunk's device.

    Raises:
        ValueError: There are not as many values as images.
    """
    start = 0
    for chunk in view:
        mine = values[start : start + len(chunk)]
        start += len(chunk)
        if len(mine) < len(chunk):
            break
        yield chunk, mine.to(chunk.device)
    if start != len(values):
        more = " or more" if start > len(values) else ""
        raise ValueError(f"there are {len(values):,} targets, but {start:,}{more} fit images")
