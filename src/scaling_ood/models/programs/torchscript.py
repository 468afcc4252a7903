"""TorchScript archives, run by torch's own interpreter, which knows tensors and no Python.

A program of TorchScript can read and write files. One that calls an operator that does, or that is none of torch's own
arithmetic, is refused before it is loaded.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import nn

from scaling_ood.models.programs.program import COLOURS, Program, ProgramError
from scaling_ood.wording import listed

_REFUSED = re.compile(r"\b(?:torch|ops\.\w+)\.(?:save|load|from_file|open|import_ir_module\w*|_exec\w*)\s*\(")
_OTHER = re.compile(r"\bops\.(?!(?:aten|prim|prims|quantized|torchvision)\.)\w+\.\w+")
_SIDES = (224, 32, 64, 96, 128, 256, 299, 384)
"""At which a network is tried out that does not say its size."""


class ScriptedNetwork(nn.Module):
    """A module of TorchScript that gives its logits alone."""

    def __init__(self, module: Any) -> None:
        """Take over the module."""
        super().__init__()
        self.module = module

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits: what it gives, the first of several, or what it calls `logits` or `out`."""
        return _logits(self.module(images))


def read_torchscript(path: Path) -> Program:
    """The network of a TorchScript archive, logits alone: nobody can look inside it.

    Raises:
        ProgramError: It is no such archive, calls what is refused, or gives no logits for images.
    """
    try:
        with ZipFile(path) as archive:
            code = {name: archive.read(name).decode() for name in archive.namelist() if _is_code(name)}
    except (BadZipFile, OSError, UnicodeDecodeError) as error:
        raise ProgramError(f"it is no TorchScript archive that can be read ({error})") from error
    if not code:
        raise ProgramError("it is no TorchScript archive: it holds no code/")
    found = sorted({call.rstrip("( ") for text in code.values() for call in _calls(text)})
    if found:
        raise ProgramError(f"it calls {listed(found, most=3)}, which may reach files, and is refused")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            jit: Any = torch.jit
            module = jit.load(str(path), map_location="cpu").eval()
    except Exception as error:
        raise ProgramError(f"torch cannot load it ({str(error).strip().splitlines()[0]})") from error
    network = ScriptedNetwork(module)
    return Program(network, None, _classes(network), None, "TorchScript")


def _calls(text: str) -> list[str]:
    return [*_REFUSED.findall(text), *_OTHER.findall(text)]


def _is_code(name: str) -> bool:
    return "/code/" in f"/{name}" and name.endswith(".py")


def _classes(network: nn.Module) -> int:
    problem = ""
    for side in _SIDES:
        try:
            with torch.inference_mode():
                found = network(torch.zeros(1, COLOURS, side, side))
        except Exception as error:
            problem = problem or str(error).strip().splitlines()[-1]
            continue
        if isinstance(found, torch.Tensor) and found.ndim in (2, 4):
            return int(found.shape[1])
        problem = f"it gives {tuple(getattr(found, 'shape', ())) or type(found).__name__}"
    raise ProgramError(f"it gives no logits for images (N, 3, H, W): {problem}")


def _logits(given: Any) -> torch.Tensor:
    if isinstance(given, dict):
        given = next((given[name] for name in ("logits", "out") if name in given), next(iter(given.values())))
    found: torch.Tensor = given[0] if isinstance(given, list | tuple) else given
    return found
