"""A classifier with the weights of a file that a person provides."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from scaling_ood.models.architectures import architecture
from scaling_ood.models.backbone import WholeNetwork
from scaling_ood.models.checkpoints import Checkpoint, CheckpointError, State, fitting_state
from scaling_ood.models.classifier import Classifier


def adopted_state(name: str, checkpoint: Checkpoint, classes: int) -> State:
    """State dict of the `Classifier` that the weights of a file make.

    The file may name its parts as the library does that the network is from, as timm's authors did before it, or as
    `Classifier` does, which is how this project stores what it trains.

    Args:
        name: Of the architecture.
        checkpoint: From `read_checkpoint`.
        classes: Number of classes C of the data set.

    Raises:
        CheckpointError: The weights do not fit, all of it at once; or the network's head is more than one linear layer.
    """
    built = architecture(name)
    joined = WholeNetwork(lambda of: Classifier(built.build(False)[0], nn.Linear(built.features, of)), _halves)
    whole = joined if built.whole is None or _is_joined(checkpoint.state) else built.whole
    network = whole.build(classes)
    renamed = replace(checkpoint, state=dict(whole.rename(checkpoint.state, network)))
    network.load_state_dict(fitting_state(network, renamed, head=_last_linear(network)))
    backbone, head = whole.cut(network)
    if head is None:
        raise CheckpointError(
            f"the head of '{name}' is more than one linear layer: {checkpoint.name} cannot be used as it is"
        )
    return Classifier(backbone, head).state_dict()


def _is_joined(state: State) -> bool:
    return all(name.startswith(("backbone.", "head.")) for name in state)


def _halves(network: nn.Module) -> tuple[nn.Module, nn.Linear | None]:
    assert isinstance(network, Classifier)
    return network.backbone, network.head


def _last_linear(network: nn.Module) -> str:
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return names[-1] if names else ""
