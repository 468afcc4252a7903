"""Networks without weights: to learn their shape at no cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from scaling_ood.models.chance import alone


class _Weightless(TorchFunctionMode):
    """Puts tensors that are to be filled in later on no device; what is computed while building is real."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, on `meta` where it only reserves memory."""
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def skeleton(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose weights take neither memory nor time, as far as it lets itself be built so.

    The global generator is left as it was.
    """
    with alone(), torch.random.fork_rng(devices=[]):
        try:
            with _Weightless():
                return build()
        except RuntimeError:
            # Some networks try parts of themselves out while they are built.
            return build()
