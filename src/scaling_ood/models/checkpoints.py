"""Weights from a local file: safetensors, a torch checkpoint, or an old pickle, which is converted once."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
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


def read_checkpoint(path: Path) -> Checkpoint:
    """The weights of a file.

    An old pickle that torch's own safe reader refuses, such as `resnet50_places365.pth.tar`, goes through a restricted
    unpickler once; `<name>.safetensors` beside it is read from then on, as long as the file stays the same. A folder
    that cannot be written to only costs the time of the next conversion.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: It holds no weights, or would run code to make them.
    """
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


def load_checkpoint(network: nn.Module, checkpoint: Checkpoint, head: str, classes: int) -> None:
    """Give a network the weights of a file; all of it fits, or nothing is changed.

    Args:
        network: As its architecture names its parts.
        checkpoint: The weights.
        head: Name of the last linear layer, such as `fc`.
        classes: Number of classes C of the data set.

    Raises:
        CheckpointError: The head has another number of classes, entries are missing or unexpected, or have another
            shape; all of them are told.
    """
    wanted, given = network.state_dict(), checkpoint.state
    # Networks from before torch 0.4.1 did not count batches, and nothing depends on it.
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    other = [name for name in wanted if name in given and wanted[name].shape != given[name].shape]
    problems = [_classes_problem(given, head, classes)]
    if missing:
        problems.append(f"{len(missing):,} entries of the network are not in it: {listed(missing)}")
    if unexpected:
        problems.append(f"{len(unexpected):,} of its entries are not in the network: {listed(unexpected)}")
    if other:
        shapes = [f"{name} is {_shape(given[name])}, the network's {_shape(wanted[name])}" for name in other]
        problems.append(f"{len(other):,} entries have another shape: {listed(shapes)}")
    if told := [problem for problem in problems if problem]:
        raise CheckpointError(f"{checkpoint.name} does not fit the network: {'; '.join(told)}")
    network.load_state_dict(given)


def _classes_problem(state: State, head: str, classes: int) -> str:
    weight = state.get(f"{head}.weight")
    if weight is None or len(weight) == classes:
        return ""
    return f"its head {head} has {len(weight):,} classes, but the data set has {classes:,}"


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


def _shape(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape))
