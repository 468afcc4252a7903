"""Reading named arrays from files of several formats, each by the library that owns it; none of them runs code."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from scaling_ood.registry import Registry
from scaling_ood.wording import did_you_mean

Fields = dict[str, Any]
"""Name to an array (N, ...)."""


class ProvidedError(ValueError):
    """Something is wrong with outputs that a person brings; all of it, a line each."""


def _npy(path: Path) -> Fields:
    return {"": np.load(path, allow_pickle=False)}


def _npz(path: Path) -> Fields:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _safetensors(path: Path) -> Fields:
    return dict(load_file(path))


def _parquet(path: Path) -> Fields:
    return _fields_of(pd.read_parquet(path))


def _csv(path: Path) -> Fields:
    return _fields_of(pd.read_csv(path, dtype={"ids": str}))


READERS: Registry[Callable[[Path], Fields]] = Registry(
    "format",
    {".npz": _npz, ".npy": _npy, ".safetensors": _safetensors, ".parquet": _parquet, ".csv": _csv},
)
"""Ending of a file's name to what reads it. A `.npy` holds one array without a name."""


def read_fields(path: Path, known: tuple[str, ...], alone: str) -> Fields:
    """The named arrays of one file.

    Args:
        path: The file.
        known: Names that it may hold.
        alone: Name of the array of a file that names none.

    Raises:
        ProvidedError: The file cannot be read, or holds other names.
    """
    try:
        found = READERS[path.suffix.lower()](path)
    except Exception as error:  # each format's library has errors of its own
        raise ProvidedError(f"{path.name} cannot be read: {_reason(error)}") from error
    fields = {name or alone: value for name, value in found.items()}
    if strange := [name for name in fields if name not in known]:
        told = "; ".join(f"'{name}'{did_you_mean(name, known)}" for name in strange[:3])
        raise ProvidedError(f"{path.name} holds what is not known: {told}")
    return fields


def as_numbers(path: str, name: str, value: Any, dimensions: int) -> torch.Tensor:
    """A field of numbers, (N, ...) of so many dimensions: floating-point ones as they are, others as float32.

    Raises:
        ProvidedError: They are no numbers, or of another shape.
    """
    try:
        tensor = value if isinstance(value, torch.Tensor) else torch.as_tensor(np.array(value))
    except (TypeError, ValueError) as error:
        raise ProvidedError(f"{path}: {name} are no numbers ({_reason(error)})") from error
    if tensor.ndim != dimensions:
        shape = ", ".join(("N", "C" if name == "logits" else "D")[:dimensions])
        raise ProvidedError(f"{path}: {name} have the shape {tuple(tensor.shape)}, and should have ({shape})")
    return tensor if tensor.is_floating_point() else tensor.float()


def as_names(value: Any) -> list[str]:
    """Ids as text: numbers, texts or bytes."""
    listed = value.tolist() if hasattr(value, "tolist") else list(value)
    return [each.decode() if isinstance(each, bytes) else str(each) for each in listed]


def _fields_of(frame: pd.DataFrame) -> Fields:
    """Columns `logits_0`, `logits_1`, … side by side, in the order of their numbers; a column of lists stacked."""
    groups: dict[str, list[tuple[int, str]]] = {}
    fields: Fields = {}
    for column in map(str, frame.columns):
        if numbered := re.fullmatch(r"(.+)_(\d+)", column):
            groups.setdefault(numbered[1], []).append((int(numbered[2]), column))
        else:
            fields[column] = _stacked(frame[column])
    for name, columns in groups.items():
        numbers = [number for number, _ in sorted(columns)]
        if numbers != list(range(len(numbers))):
            raise ValueError(f"the columns {name}_… are not numbered 0 to {len(numbers) - 1}")
        fields[name] = frame[[column for _, column in sorted(columns)]].to_numpy()
    return fields


def _stacked(column: pd.Series[Any]) -> NDArray[Any]:
    values = column.to_numpy()
    lists = values.dtype == object and len(values) and not isinstance(values[0], str | bytes)
    return np.stack(list(values)) if lists else values


def _reason(error: Exception) -> str:
    """The first line of what a library says, without its advice to run a file's code."""
    told = (str(error) or type(error).__name__).splitlines()[0]
    return "it holds Python objects, which would run code" if "allow_pickle" in told else told
