"""Weights from a local file: safetensors, or a checkpoint of torch, new or old."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from scaling_ood.models.file_forms import CheckpointError, Form, claim, form_of
from scaling_ood.models.files import file_sha256
from scaling_ood.models.old_checkpoints import load_old_checkpoint, load_tensors_alone
from scaling_ood.restricted_pickle import NUMPY
from scaling_ood.wording import listed

State = dict[str, torch.Tensor]

NESTED = ("state_dict", "model_state_dict", "model")
"""Under which keys training scripts keep the state dict, in the order in which they are looked for."""

PREFIXES = ("module.", "_orig_mod.")
"""What `DataParallel` and `torch.compile` put before every name."""

_DAMAGED = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What torch raises for a pickle that it did not write."""

_logger = logging.getLogger(__name__)

_MOST_NAMES = 10
_ANEW = "Where it is trusted, save its state_dict() anew, best as safetensors"


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
    """The weights of a file. What it is depends on its content, not on its name.

    No code of the file runs. Checkpoints of torch are read with `weights_only=True`. Of those that are pickles from
    before torch wrote zip archives, torch refuses the ones that Python 2 wrote, such as `resnet50_places365.pth.tar`:
    they go through an unpickler that builds tensors and arrays only.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: It holds no weights, or would run code to make them.
    """
    path = Path(path)
    form = form_of(path)
    try:
        state = state_of(_document(path, form), path.name)
    except (
        *_DAMAGED,
        SafetensorError,
    ) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path.name} is no checkpoint that can be read safely: {_reason(error)}. {_ANEW}"
        ) from error
    _refuse_without_values(path, state)
    return Checkpoint(path.name, file_sha256(path), state)


def state_of(document: Any, name: str) -> State:
    """The state dict of what a checkpoint holds, without the prefixes of wrappers.

    Args:
        document: A state dict, or a dictionary that has one under one of the keys of `NESTED`, at any depth, or one
            alone under any key.
        name: Of the file, for the message.

    Raises:
        CheckpointError: There is none.

    >>> state_of({"epoch": 90, "state_dict": {"module.fc.bias": torch.zeros(2)}}, "a.pth")
    {'fc.bias': tensor([0., 0.])}
    """
    found = document
    while isinstance(found, Mapping) and not _is_state(found):
        states = [each for each in found.values() if isinstance(each, Mapping) and _is_state(each)]
        only = states[0] if len(states) == 1 else None
        found = next((found[key] for key in NESTED if isinstance(found.get(key), Mapping)), only)
    if not isinstance(found, Mapping):
        raise CheckpointError(
            f"{name} holds no state dict, itself or under {', '.join(NESTED)}, and not one alone; "
            f"it holds: {_held(document)}"
        )
    return _without_prefixes(found)


def _held(document: Any) -> str:
    if not isinstance(document, Mapping):
        return type(document).__name__
    if len(document) <= _MOST_NAMES:
        return ", ".join(map(str, document))
    others = [str(key) for key, each in document.items() if not (isinstance(key, str) and _is_tensor(each))]
    return listed([*others, f"{len(document) - len(others):,} tensors"], most=_MOST_NAMES)


def fitting_state(module: nn.Module, checkpoint: Checkpoint, optional: Collection[str] = (), head: str = "") -> State:
    """The weights of a file, with the module's own values for optional parts that it lacks; nothing is changed.

    Args:
        module: That is to take the weights, with as many classes as the data set has.
        checkpoint: The weights.
        optional: Prefixes of names that may be missing.
        head: Name of the last linear layer, such as `fc`, whose number of classes is then told in words.

    Raises:
        CheckpointError: The head has another number of classes, entries are missing or unknown, or have another shape,
            all of it at once; or some weights are NaN or infinite.
    """
    own = module.state_dict()
    given, parts = under_shared_prefix(checkpoint.state, own, optional), []
    if lacking(own, given, optional):
        found = fitting_parts(checkpoint.state, own, optional)
        parts = list(found)
        given = found[parts[0]] if len(parts) == 1 else given
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    problems = {
        "lacks": lacking(own, given, optional),
        "has unknown": [name for name in given if name not in own],
        "has of another shape": shapes,
    }
    told = [f"it {what} {listed(names, most=5)}" for what, names in problems.items() if names]
    weight, wanted = given.get(f"{head}.weight"), own.get(f"{head}.weight")
    if weight is not None and wanted is not None and len(weight) != len(wanted):
        told.insert(0, f"its head {head} has {len(weight):,} classes, but the data set has {len(wanted):,}")
    if told:
        if parts:
            told.append(
                f"its names under {' and '.join(repr(part) for part in parts)} would fit: save those of one alone"
            )
        raise CheckpointError(f"{checkpoint.name} does not fit {type(module).__name__}: {'; '.join(told)}")
    cast = {name: _cast(checkpoint.name, name, each, own[name]) for name, each in given.items()}
    _refuse_no_numbers(checkpoint.name, cast, own)
    return {**own, **cast}


def under_shared_prefix(state: State, wanted: Collection[str], optional: Collection[str] = ()) -> State:
    """The state without those leading parts of its names that all of them share, where they are the wanted ones then.

    Args:
        state: Such as Lightning leaves, whose names all begin with that of an attribute.
        wanted: Names of a network.
        optional: Prefixes of names that may be missing.

    >>> list(under_shared_prefix({"net.module.fc.bias": torch.zeros(1)}, ["fc.bias"]))
    ['fc.bias']
    >>> list(under_shared_prefix({"net.module.fc.bias": torch.zeros(1)}, ["fc.weight"]))
    ['net.module.fc.bias']
    """
    return next((each for each in without_shared_parts(state) if not lacking(wanted, each, optional)), state)


def without_shared_parts(state: State) -> Iterator[State]:
    """The state as it is, then without the first part of its names, the second, … as long as all names share it."""
    yield state
    while len({name.partition(".")[0] for name in state}) == 1 and all("." in name for name in state):
        state = {name.partition(".")[2]: tensor for name, tensor in state.items()}
        yield state


def lacking(wanted: Iterable[str], given: Collection[str], optional: Collection[str] = ()) -> list[str]:
    """Wanted names that are not given and not optional.

    Networks from before torch 0.4.1 did not count batches, and nothing depends on it.
    """
    spared = tuple(optional)
    return [n for n in wanted if n not in given and not n.startswith(spared) and not n.endswith("num_batches_tracked")]


def parts_of(state: State) -> dict[str, State]:
    """The state by the first parts of its names, without these: a network beside a loss, or its running average."""
    parts: dict[str, State] = {}
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        if rest:
            parts.setdefault(first, {})[rest] = tensor
    return parts if len(parts) > 1 or any("." not in name for name in state) else {}


def fitting_parts(state: State, wanted: Collection[str], optional: Collection[str] = ()) -> dict[str, State]:
    """Those parts in which there are all wanted names, by the first part of theirs.

    >>> list(fitting_parts({"net.fc.bias": torch.zeros(1), "loss.weight": torch.zeros(1)}, ["fc.bias"]))
    ['net']
    """
    parts = {part: under_shared_prefix(own, wanted, optional) for part, own in parts_of(state).items()}
    return {part: own for part, own in parts.items() if not lacking(wanted, own, optional)}


def _cast(file: str, name: str, given: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """A tensor in the network's own type, in which it may be infinite; other kinds of numbers mean something else."""
    if given.is_complex() or given.is_floating_point() != own.is_floating_point():
        kinds = [str(each.dtype).removeprefix("torch.") for each in (given, own)]
        raise CheckpointError(
            f"{file} has {name} as {kinds[0]} instead of {kinds[1]}: its weights are quantised or damaged. Take those "
            "that were trained, in single or half precision"
        )
    return given.to(own.dtype)


def _refuse_no_numbers(name: str, given: State, own: State) -> None:
    """Refuse what is NaN or infinite where the network by itself is not: some have masks of infinities."""
    bad = {each: int((~given[each].isfinite() & own[each].isfinite()).sum()) for each in own if each in given}
    told = [f"{each} ({count:,} of {given[each].numel():,})" for each, count in bad.items() if count]
    if told:
        raise CheckpointError(
            f"{name} has weights that are NaN or infinite: {listed(told, most=5)}. Its training diverged, or it was "
            "saved in half precision: take an earlier checkpoint, or one in single precision"
        )


def _document(path: Path, form: Form) -> Any:
    if form == "safetensors":
        return load_file(path)
    # torch keeps functions by name; what NumPy's names build in their place takes bytes and nothing else.
    builders: list[Any] = [(builder, ".".join(name)) for name, builder in NUMPY.items()]
    # An open file: of some names torch takes the ending for the content.
    with path.open("rb") as file, torch.serialization.safe_globals(builders):
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except _DAMAGED as error:
            if form != "pickle":
                return _without_objects(path, error)
    return load_old_checkpoint(path)


def _without_objects(path: Path, refusal: Exception) -> Any:
    """A checkpoint that also holds objects, such as the options of its training: what is left when nothing builds them.

    Raises:
        Exception: The refusal, where there are no weights without them.
    """
    if not _wanted(refusal):
        raise refusal
    try:
        document = load_tensors_alone(path)
        state_of(document, path.name)
    except _DAMAGED:
        raise refusal from None
    _logger.info("%s also holds objects (%s): they were left out, and nothing built them", path.name, _wanted(refusal))
    return document


def _reason(error: Exception) -> str:
    """What torch says of a pickle that it refuses, without its advice to read it all the same."""
    if wanted := _wanted(error):
        return f"it wants to build {wanted}, which is refused"
    return str(error).rsplit("WeightsUnpickler error: ", 1)[-1].strip().split("\n")[0].rstrip(".")


def _wanted(error: Exception) -> str:
    """What a pickle that torch refuses would build; empty where it is refused for another reason."""
    found = re.search(r"GLOBAL ([\w.]+) was not|whose module ([\w.]+) is blocked", str(error))
    return (found[1] or found[2]) if found else ""


def _refuse_without_values(path: Path, state: State) -> None:
    odd = [
        name
        for name, tensor in state.items()
        if tensor.is_meta or tensor.is_nested or tensor.layout != torch.strided or tensor.is_quantized
    ]
    if odd:
        raise CheckpointError(
            f"{path.name} has no plain numbers for {listed(odd, most=5)}: save weights as dense tensors"
        )
    # One number can be made to look like many, and takes the memory of these as soon as it is copied.
    size = path.stat().st_size
    claimed = max(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > size:
        raise CheckpointError(f"{path.name} is no checkpoint that can be read: {claim(claimed, size)}")


def _is_state(document: Mapping[Any, Any]) -> bool:
    return bool(document) and all(isinstance(name, str) and _is_tensor(each) for name, each in document.items())


def _is_tensor(each: Any) -> bool:
    return isinstance(each, torch.Tensor)


def _without_prefixes(state: Mapping[str, torch.Tensor]) -> State:
    while prefix := next((each for each in PREFIXES if state and all(name.startswith(each) for name in state)), ""):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return dict(state)
