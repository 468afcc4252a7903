"""Trainings that yield a complete state after every epoch, keep the best and the last weights, and go on bit by bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Protocol

import torch
from torch import nn

from scaling_ood.models.forward import exact_float32

BestEpoch = Literal["validation", "last"]
"""Which epoch's weights are used: the best by its quality on the validation images, or the last as it comes."""

ResumableState = dict[str, Any]
"""Everything that a resumed training needs, of tensors, numbers, strings, lists and dicts only:

- `models`: `<variant>.last` and `<variant>.best` to state dict, of the finished variants and the current one;
- `current`: name of the variant that was trained last, `epoch`: how many of its epochs are done;
- `optimiser`: the current optimiser's state dict, `extra`: numbers of the current training beside it;
- `merit`: of the current variant's best epoch;
- `history`: one row per epoch, `variant, epoch, …`.
"""


class Training(Protocol):
    """One training under way; what an epoch does depends on its number and on these three alone.

    Attributes:
        module: What is trained.
        optimiser: What trains it.
        extra: Numbers that change while training.
    """

    module: nn.Module
    optimiser: torch.optim.Optimizer
    extra: dict[str, float]

    def epoch(self, number: int) -> dict[str, float]:
        """Train one epoch, the first being 0; returns the numbers of its row in the history."""
        ...


class DivergedError(ArithmeticError):
    """A training whose loss is not a number any more."""


def train_variants(
    begin: Mapping[str, Callable[[], Training]],
    epochs: int,
    merit: Callable[[Mapping[str, float]], float] | None,
    state: ResumableState | None = None,
) -> Iterator[ResumableState]:
    """Train the variants one after the other.

    Args:
        begin: Variant to a function that starts its training.
        epochs: Of each variant.
        merit: Of an epoch's row; the epoch of the highest is the best, the first of equals. None: the last one is.
        state: Where to go on; None starts from the beginning.

    Yields:
        The complete state after each epoch of each variant.

    Raises:
        DivergedError: A number of an epoch, or a weight after it, is infinite or NaN.
    """
    exact_float32()
    state = state or {"models": {}, "current": "", "history": []}
    names = list(begin)
    for name in names[names.index(state["current"]) if state["current"] else 0 :]:
        training = begin[name]()
        done = _restore(training, state, name) if name == state["current"] else 0
        for number in range(done, epochs):
            row = training.epoch(number)
            state = _after(state, name, number, training, row, float(number) if merit is None else merit(row))
            refuse_divergence(name, number, row, state["models"][f"{name}.last"])
            yield state


def _restore(training: Training, state: ResumableState, name: str) -> int:
    training.module.load_state_dict(state["models"][f"{name}.last"])
    training.optimiser.load_state_dict(state["optimiser"])
    training.extra = dict(state["extra"])
    return int(state["epoch"])


def refuse_divergence(name: str, number: int, row: Mapping[str, float], weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse an epoch that left numbers or weights that are none.

    Args:
        name: Of the variant.
        number: Of the epoch, the first being 0.
        row: Its numbers.
        weights: After its last step.

    Raises:
        DivergedError: Some are infinite or NaN.
    """
    bad = [f"{quantity} = {value}" for quantity, value in row.items() if not math.isfinite(value)]
    bad = bad or [f"{weight} is not finite" for weight, tensor in weights.items() if not tensor.isfinite().all()][:3]
    if bad:
        raise DivergedError(
            f"training of {name} diverged in epoch {number + 1}: {', '.join(bad)}; try a lower learning rate"
        )


def _after(
    state: ResumableState, name: str, number: int, training: Training, row: Mapping[str, float], merit: float
) -> ResumableState:
    better = number == 0 or merit > state["merit"]
    last = _copied(training.module)
    # A copy of its own: safetensors refuses tensors that share memory.
    best = _copied(training.module) if better else state["models"][f"{name}.best"]
    return {
        "models": {**state["models"], f"{name}.last": last, f"{name}.best": best},
        "current": name,
        "epoch": number + 1,
        "optimiser": copy.deepcopy(training.optimiser.state_dict()),
        "extra": dict(training.extra),
        "merit": merit if better else state["merit"],
        "history": [*state["history"], {"variant": name, "epoch": number + 1, **row}],
    }


def _copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in module.state_dict().items()
    }
