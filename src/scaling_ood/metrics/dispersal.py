"""How much probability a classifier spreads among look-alike classes (the paper, section 3 and Figure 3)."""

from __future__ import annotations

import torch


def dispersal(logits: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Probability of the predicted class's whole group, minus that of the predicted class itself.

    It is what MSP calls doubt although the image is of a familiar kind.

    Args:
        logits: (N, C).
        groups: (C,) group of each class, 0..G-1.

    Returns:
        (N,) float64, in [0, 1).

    >>> even = torch.zeros(1, 4)
    >>> dispersal(even, torch.tensor([0, 0, 1, 1])).item(), dispersal(even, torch.tensor([0, 1, 2, 3])).item()
    (0.25, 0.0)
    """
    posterior = logits.double().softmax(dim=1)  # (N, C)
    top = posterior.argmax(dim=1)
    same = groups[None, :] == groups[top][:, None]  # (N, C)
    same[torch.arange(len(top)), top] = False
    return (posterior * same).sum(dim=1)


def arbitrary_groups(classes: int, size: int, seed: int) -> torch.Tensor:
    """Groups of as many classes that have nothing to do with each other: the control of `dispersal`.

    Returns:
        (classes,) group of each class; the last group may be smaller.
    """
    order = torch.randperm(classes, generator=torch.Generator().manual_seed(seed))
    groups = torch.empty(classes, dtype=torch.int64)
    groups[order] = torch.arange(classes) // size
    return groups
