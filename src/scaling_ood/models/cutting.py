"""A network cut in two before its last linear layer, which is found or named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from scaling_ood.models.backbone import Architecture
from scaling_ood.models.skeleton import skeleton
from scaling_ood.wording import listed, nearest


class HeadError(ValueError):
    """A network has no such last linear layer."""


def linear_layers(network: nn.Module) -> dict[str, nn.Linear]:
    """Linear layers by their names, in the order in which they were made."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}


def cut_at(network: nn.Module, name: str) -> tuple[nn.Module, nn.Linear]:
    """The network without one of its linear layers, which then gives what that layer reads; and the layer.

    The first parts of its name may be left out where it is then the name of no other.

    Raises:
        HeadError: No such layer; says the nearest and the last ones.
    """
    layers = linear_layers(network)
    inner = [each for each in layers if each.endswith(f".{name}")]
    name = inner[0] if name not in layers and len(inner) == 1 else name
    if name not in layers:
        last = listed([*layers][::-1], most=5) or "none"
        raise HeadError(f"there is no linear layer '{name}'{nearest(name, layers)} (the last ones: {last})")
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, nn.Identity())
    return network, layers[name]


def with_head(own: Architecture, name: str, head: str) -> Architecture:
    """The same network, cut before another linear layer, which makes its logits.

    Args:
        own: As its source has it.
        name: The network's.
        head: The layer's, as in `named_modules` of the whole network.

    Raises:
        HeadError: The network has no such layer, or cannot be cut.
    """
    whole = own.whole
    if whole is None or own.program:
        raise HeadError(f"the last layer of '{name}' cannot be named: it is known")
    bare = whole.build
    cut = partial(cut_at, name=head)
    try:
        linear = cut(skeleton(partial(bare, own.classes or _ANY_CLASSES)))[1]
    except HeadError as error:
        raise HeadError(f"head of '{name}': {error}") from error

    def build(pretrained: bool) -> tuple[nn.Module, nn.Linear | None]:
        if not pretrained:
            return cut(bare(own.classes or _ANY_CLASSES))[0], None
        assert whole.published is not None
        return checked_cut(whole.published, cut, own, name)

    return replace(
        own,
        build=build,
        features=linear.in_features,
        classes=linear.out_features if own.weights else 0,
        whole=replace(whole, cut=cut),
        # The digest is of a whole file; of what was built it holds for either cut only where a file has it.
        weights_digest=own.weights_digest if own.weights_file else "",
    )


def checked_cut(
    whole: Callable[[], nn.Module],
    cut: Callable[[nn.Module], tuple[nn.Module, nn.Linear]],
    own: Architecture,
    name: str,
) -> tuple[nn.Module, nn.Linear]:
    """The two halves of a network with weights, after making sure that they make what the whole makes.

    Raises:
        HeadError: They do not: the layer is not the last one.
        WeightsUnavailableError: The weights cannot be loaded.
    """
    network = whole().eval()
    side = own.preprocessing.crop_px if own.preprocessing else own.input_px or _TRIAL_PX
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, side, side, generator=generator)
    with torch.inference_mode():
        layers, expected = listed([*linear_layers(network)][::-1], most=5), network(images)
        backbone, head = cut(network)
        if not _makes(backbone, head, images, expected):
            raise HeadError(
                f"the linear layer that was taken for the last one of '{name}' does not make its logits: give the "
                f"right one's name as head, if there is one (they are: {layers})"
            )
    return backbone, head


def _makes(backbone: nn.Module, head: nn.Linear, images: torch.Tensor, logits: torch.Tensor) -> bool:
    try:
        features = backbone(images)
    except RuntimeError:  # without its last layers shapes may not fit any more
        return False
    fits = features.shape == (len(images), head.in_features)
    return fits and torch.allclose(head(features), logits, rtol=1e-3, atol=1e-3)


_ANY_CLASSES, _TRIAL_PX = 1000, 224
