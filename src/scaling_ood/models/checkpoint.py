"""Weights from a file that a person provides."""

from __future__ import annotations

from collections.abc import Collection

import torch
from safetensors.torch import load_file
from torch import nn

_NESTED = ("state_dict", "model_state_dict", "model")
_PREFIX = "module."


class CheckpointError(ValueError):
    """A file that does not hold the weights of the network that it is meant for."""


def read_checkpoint(path: str) -> dict[str, torch.Tensor]:
    """State dict of a safetensors file or a PyTorch file, which is read without running any code of it.

    A dictionary inside `state_dict`, `model_state_dict` or `model` is taken out, and the `module.` of data-parallel
    training off every name.

    Raises:
        CheckpointError: No such file, or one of another content.
    """
    try:
        found = load_file(path) if path.endswith(".safetensors") else torch.load(path, "cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as weights: {error}") from error
    while isinstance(found, dict) and (inner := next((key for key in _NESTED if isinstance(found.get(key), dict)), "")):
        found = found[inner]
    if not isinstance(found, dict) or not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise CheckpointError(f"{path} holds no state dict: names and tensors, or these inside {', '.join(_NESTED)}")
    return {name.removeprefix(_PREFIX): tensor for name, tensor in found.items()}


def refuse_misfit(
    module: nn.Module, state: dict[str, torch.Tensor], source: str, optional: Collection[str] = ()
) -> dict[str, torch.Tensor]:
    """The state with the module's own values for optional parts that it lacks.

    Args:
        module: That is to take the weights.
        state: From `read_checkpoint`.
        source: Of the state, for the error.
        optional: Prefixes of names that may be missing.

    Raises:
        CheckpointError: Missing or unknown names, or other shapes; all of it at once.
    """
    own = module.state_dict()
    lacking = [name for name in own.keys() - state.keys() if not name.startswith(tuple(optional))]
    strange = state.keys() - own.keys()
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(own.keys() & state.keys())
        if state[name].shape != own[name].shape
    ]
    parts = {"lacks": sorted(lacking), "has unknown": sorted(strange), "has of another shape": shapes}
    problems = [f"{what} {_some(names)}" for what, names in parts.items() if names]
    if problems:
        raise CheckpointError(f"{source} does not fit {type(module).__name__}: it {'; it '.join(problems)}")
    return {**own, **state}


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
