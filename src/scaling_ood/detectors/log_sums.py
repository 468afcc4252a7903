"""Sums of exponentials that neither overflow, saturate nor lose what is small: what scores of logits are made of."""

from __future__ import annotations

from math import inf

import numpy as np
import torch

from scaling_ood.detectors.largest import place_of_largest

_IMAGES = 2  # dimensions of (N, C)
_ROWS = 256
"""Images at a time: what is computed of them stays in the processor's cache."""
_SMALL = 1e-9
"""A rest below has, as the total less 1, fewer digits than numbers in single precision."""


def is_of_images(logits: torch.Tensor) -> bool:
    """Whether logits are (N, C), not of pixels: one number each, so that float64 costs nothing."""
    return logits.ndim == _IMAGES


def top_and_rest(logits: torch.Tensor, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logit, and the mass of all other classes as a multiple of its own.

    The top probability of a confident network rounds to 1 and thousands of images tie. The mass of the *other* classes
    does not: it keeps images apart down to the smallest floating-point number.

    Of images it is added up in float64: where logits hardly differ, what tells images apart is far behind the point. Of
    pixels, which are many, it has the type of the logits.

    Args:
        logits: (N, C, ...), at least float32.
        temperature: T, by which their differences are divided.

    Returns:
        max_k f_k, and sum of exp((f_j - max_k f_k) / T) over all j but one of the largest, both (N, ...). The top
        probability is 1 / (1 + rest).

    >>> [each.tolist() for each in top_and_rest(torch.tensor([[1.0, 1.0, -200.0]]))]
    [[1.0], [1.0]]
    """
    if not is_of_images(logits):
        top = logits.amax(dim=1)
        return top, _rest_of_pixels(logits, top, temperature).where(~top.isposinf(), 0)
    top, total = _top_and_total(logits, temperature)
    rest = total.sub_(1)
    lost = rest < (inf if logits.dtype == torch.float64 else _SMALL)
    if bool(lost.any()):
        rest[lost] = torch.cat([_rest_alone(rows.double(), temperature) for rows in torch.split(logits[lost], _ROWS)])
    return top, rest.where(~top.isposinf(), 0)


def exp_(values: torch.Tensor) -> torch.Tensor:
    """Exponentials in place. On a processor NumPy's, which take two thirds of the time of PyTorch's.

    >>> exp_(torch.zeros(1, 2)).tolist()
    [[1.0, 1.0]]
    """
    if values.device.type != "cpu":
        return values.exp_()
    array = values.detach().numpy()
    np.exp(array, out=array)
    return values


def _top_and_total(logits: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logit of images, and the mass of all classes as a multiple of its own in float64, both (N,)."""
    logits = logits.detach()
    tops = logits.amax(dim=1, keepdim=True)
    room = torch.empty_like(logits[:_ROWS])  # one for all: new memory takes as long as the sums
    totals = []
    for rows, top in zip(torch.split(logits, _ROWS), torch.split(tops, _ROWS), strict=True):
        below = torch.sub(rows, top, out=room[: len(rows)])
        totals.append(_exponentials(below, temperature).sum(dim=1, dtype=torch.float64))
    return tops.squeeze(1), torch.cat(totals)


def _rest_alone(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """The mass of all other classes, added up without the top's."""
    which = place_of_largest(logits)[:, None]
    ratios = _exponentials(logits - logits.gather(1, which), temperature)
    return ratios.scatter_(1, which, 0).sum(dim=1)


def _exponentials(below: torch.Tensor, temperature: float) -> torch.Tensor:
    """p_k / p_top of images, at most 1, in place of what the logits are below the top."""
    return exp_(below if temperature == 1 else below.div_(temperature))


def _rest_of_pixels(logits: torch.Tensor, top: torch.Tensor, temperature: float) -> torch.Tensor:
    below = logits - top.unsqueeze(1)
    if temperature != 1:
        below.div_(temperature)
    ratios = below.exp_()  # p_k / p_top, at most 1
    total = ratios.sum(dim=1)
    rest = ratios.frac_().sum(dim=1)
    # Without their whole parts, what is left out are ratios of 1: the top itself, and what ties with it.
    return rest + ((total - rest).round_() - 1)


def log_sum_exp(logits: torch.Tensor) -> torch.Tensor:
    """Log sum_k exp(f_k) over dimension 1: of images float64, of pixels of the type of the logits.

    Args:
        logits: (N, C, ...), at least float32.

    Returns:
        (N, ...).

    >>> round(log_sum_exp(torch.tensor([[1e6, 1e6]])).item() - 1e6, 6)
    0.693147
    """
    if not is_of_images(logits):
        top, rest = top_and_rest(logits)
        return top + rest.log1p()
    top, total = _top_and_total(logits, 1)
    return top + total.log_().where(~top.isposinf(), 0)
