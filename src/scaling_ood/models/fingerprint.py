"""Which weights are these? The part of a product's key that stands for a network."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import torch

from scaling_ood.models.chance import alone
from scaling_ood.models.sources import architecture


def weights_digest(state: dict[str, torch.Tensor]) -> str:
    """20 hexadecimal digits over names, types, shapes and values of a state dict, whatever its device or order."""
    sha = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        sha.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        sha.update(tensor.view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return sha.hexdigest()[:20]


@lru_cache(maxsize=8)
@alone()
def published_digest(name: str) -> str:
    """Digest of an architecture's published weights, head included.

    That of the file where its name holds it: which weights are meant is then known without fetching them.

    Raises:
        ValueError: Unknown architecture, or one without published weights.
        WeightsUnavailableError: The weights cannot be loaded.
    """
    registered = architecture(name)
    if not registered.weights:
        raise ValueError(f"'{name}' has no published weights")
    if registered.weights_file or (registered.is_registered and registered.is_registered()):
        return registered.weights_digest
    backbone, head = registered.build(True)
    of_head = {f"head.{key}": value for key, value in head.state_dict().items()} if head else {}
    return weights_digest({**backbone.state_dict(), **of_head})
