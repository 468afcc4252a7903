"""Which weights are these? The part of a product's key that stands for a network."""

from __future__ import annotations

import hashlib

import torch


def weights_digest(state: dict[str, torch.Tensor]) -> str:
    """20 hexadecimal digits over names, types, shapes and values of a state dict, whatever its device or order."""
    sha = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        sha.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        sha.update(tensor.view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return sha.hexdigest()[:20]
