"""A classifier with the weights of a file that a person provides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from scaling_ood.models.backbone import WholeNetwork
from scaling_ood.models.checkpoints import (
    Checkpoint,
    State,
    fitting_state,
    lacking,
    parts_of,
    without_shared_parts,
)
from scaling_ood.models.file_forms import CheckpointError
from scaling_ood.models.heads import ClassHead
from scaling_ood.models.image_network import ImageNetwork, class_network
from scaling_ood.models.sources import architecture


def adopted_state(name: str, checkpoint: Checkpoint, classes: int, order: Sequence[int] = ()) -> State:
    """State dict of the `ImageNetwork` that the weights of a file make, with a linear `ClassHead`.

    The file may name its parts as the library does that the network is from, as timm's authors did before it, or as
    `ImageNetwork` does, which is how this project stores what it trains; there, `head.weight` and `head.bias` do too.

    Args:
        name: Of the architecture.
        checkpoint: From `read_checkpoint`.
        classes: Number of classes C of the data set.
        order: Which of the file's outputs each class of the data set is; empty where they have the same order.

    Raises:
        CheckpointError: The weights do not fit, all of it at once; or the network's head is more than one linear layer.
    """
    built = architecture(name)
    joined = WholeNetwork(
        lambda of: ImageNetwork(built.build(False)[0], ClassHead(built.features, of)), _halves, _with_the_heads_layer
    )

    def candidate(state: State) -> tuple[WholeNetwork, nn.Module, State]:
        whole = joined if built.whole is None or _is_joined(state) else built.whole
        network = whole.build(classes)
        return whole, network, dict(whole.rename(state, network))

    def fitting(state: State) -> tuple[WholeNetwork, nn.Module, State] | None:
        candidates = map(candidate, without_shared_parts(state))
        return next((each for each in candidates if not lacking(each[1].state_dict(), each[2])), None)

    chosen = fitting(checkpoint.state)
    if chosen is None:
        parts = {part: found for part, own in parts_of(checkpoint.state).items() if (found := fitting(own))}
        if len(parts) > 1:
            raise CheckpointError(
                f"{checkpoint.name} holds several networks, under {' and '.join(map(repr, parts))}: save one alone"
            )
        chosen = next(iter(parts.values()), None)
    whole, network, renamed = chosen or candidate(checkpoint.state)
    weights = fitting_state(network, replace(checkpoint, state=renamed), head=_last_linear(network))
    network.load_state_dict(weights)
    backbone, head = whole.cut(network)
    if head is None:
        raise CheckpointError(
            f"the head of '{name}' is more than one linear layer: {checkpoint.name} cannot be used as it is"
        )
    return class_network(backbone, head, order).state_dict()


def _is_joined(state: State) -> bool:
    return all(name.startswith(("backbone.", "head.")) for name in state)


def _halves(network: nn.Module) -> tuple[nn.Module, nn.Linear | None]:
    assert isinstance(network, ImageNetwork)
    return network.backbone, network.last_layer


def _with_the_heads_layer(state: State, _: nn.Module) -> State:
    return {re.sub(r"^head\.(weight|bias)$", r"head.output.\1", name): tensor for name, tensor in state.items()}


def _last_linear(network: nn.Module) -> str:
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return names[-1] if names else ""
