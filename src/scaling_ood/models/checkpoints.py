"""Weights from a local file: safetensors, a torch checkpoint, or an old pickle, which is converted once."""

from __future__ import annotations

import os
import pickle
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from scaling_ood.images.wording import listed
from scaling_ood.models.fingerprint import file_sha256
from scaling_ood.models.old_checkpoints import load_old_checkpoint

State = dict[str, torch.Tensor]

NESTED = ("state_dict", "model_state_dict", "model")
"""Under which keys training scripts keep the state dict, in the order in which they are looked for."""

PREFIXES = ("module.", "_orig_mod.")
"""What `DataParallel` and `torch.compile` put before every name."""


class CheckpointError(ValueError):
    """A file of weights cannot be read, or does not fit the network; all that is wrong is told."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a file.

    Attributes:
        name: The file's name.
        sha256: Of the file, 64 hexadecimal digits; what keys depend on.
        state: Tensors by name, on the CPU, without the prefixes of wrappers.
    """

    name: str
    sha256: str
    state: State


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The weights of a file.

    An old pickle that torch's own safe reader refuses, such as `resnet50_places365.pth.tar`, goes through a restricted
    unpickler once; `<name>.safetensors` beside it is read from then on, as long as the file stays the same. A folder
    that cannot be written to only costs the time of the next conversion.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: It holds no weights, or would run code to make them.
    """
    path = Path(path)
    sha256 = file_sha256(path)
    if path.suffix == ".safetensors":
        return Checkpoint(path.name, sha256, _without_prefixes(_safetensors(path)))
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, TypeError, LookupError):
        return Checkpoint(path.name, sha256, _converted(path, sha256))
    return Checkpoint(path.name, sha256, state_of(document, path.name))


def convert_checkpoint(source: Path, target: Path) -> None:
    """Write the weights of an old pickle as safetensors, with the SHA-256 of the pickle.

    Raises:
        FileNotFoundError: No such source.
        CheckpointError: The source holds no weights, or would run code to make them.
        OSError: The target cannot be written.
    """
    try:
        state = state_of(load_old_checkpoint(source), source.name)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise CheckpointError(
            f"{source.name} is no checkpoint that can be read safely: {error}. "
            "Where it is trusted, save its state_dict() anew, best as safetensors"
        ) from error
    beside = target.with_name(f".{target.name}.part")
    # safetensors refuses tensors that share memory.
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
    save_file(copies, beside, {"source": source.name, "source_sha256": file_sha256(source)})
    os.replace(beside, target)


def state_of(document: Any, name: str) -> State:
    """The state dict of what a checkpoint holds, without the prefixes of wrappers.

    Args:
        document: A state dict, or a dictionary that has one under one of the keys of `NESTED`, at any depth.
        name: Of the file, for the message.

    Raises:
        CheckpointError: There is none.

    >>> state_of({"epoch": 90, "state_dict": {"module.fc.bias": torch.zeros(2)}}, "a.pth")
    {'fc.bias': tensor([0., 0.])}
    """
    found = document
    while isinstance(found, Mapping) and not _is_state(found):
        found = next((found[key] for key in NESTED if isinstance(found.get(key), Mapping)), None)
    if not isinstance(found, Mapping):
        held = ", ".join(map(str, document)) if isinstance(document, Mapping) else type(document).__name__
        raise CheckpointError(f"{name} holds no state dict, itself or under {', '.join(NESTED)}; it holds: {held}")
    return _without_prefixes(found)


def fitting_state(module: nn.Module, checkpoint: Checkpoint, optional: Collection[str] = (), head: str = "") -> State:
    """The weights of a file, with the module's own values for optional parts that it lacks; nothing is changed.

    Args:
        module: That is to take the weights, with as many classes as the data set has.
        checkpoint: The weights.
        optional: Prefixes of names that may be missing.
        head: Name of the last linear layer, such as `fc`, whose number of classes is then told in words.

    Raises:
        CheckpointError: The head has another number of classes, entries are missing or unknown, or have another shape;
            all of it at once.
    """
    own, given = module.state_dict(), checkpoint.state
    # Networks from before torch 0.4.1 did not count batches, and nothing depends on it.
    spared = (*optional, *(name for name in own if name.endswith("num_batches_tracked")))
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    problems = {
        "lacks": [name for name in own if name not in given and not name.startswith(spared)],
        "has unknown": [name for name in given if name not in own],
        "has of another shape": shapes,
    }
    told = [f"it {what} {listed(names, most=5)}" for what, names in problems.items() if names]
    weight, wanted = given.get(f"{head}.weight"), own.get(f"{head}.weight")
    if weight is not None and wanted is not None and len(weight) != len(wanted):
        told.insert(0, f"its head {head} has {len(weight):,} classes, but the data set has {len(wanted):,}")
    if told:
        raise CheckpointError(f"{checkpoint.name} does not fit {type(module).__name__}: {'; '.join(told)}")
    return {**own, **given}


def _converted(path: Path, sha256: str) -> State:
    twin = path.with_name(f"{path.name}.safetensors")
    if not _is_twin(twin, sha256):
        try:
            convert_checkpoint(path, twin)
        except OSError:
            return state_of(load_old_checkpoint(path), path.name)
    return _safetensors(twin)


def _is_twin(twin: Path, sha256: str) -> bool:
    if not twin.is_file():
        return False
    try:
        with safe_open(twin, "pt") as file:
            return (file.metadata() or {}).get("source_sha256") == sha256
    except SafetensorError:
        return False


def _safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is no safetensors file: {error}") from error


def _is_state(document: Mapping[Any, Any]) -> bool:
    return bool(document) and all(
        isinstance(name, str) and isinstance(each, torch.Tensor) for name, each in document.items()
    )


def _without_prefixes(state: Mapping[str, torch.Tensor]) -> State:
    while prefix := next((each for each in PREFIXES if all(name.startswith(each) for name in state)), ""):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return dict(state)
