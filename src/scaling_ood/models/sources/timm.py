"""Backbones of timm by rule: what belongs to their weights stands in the library's own record.

timm is imported when a name asks for it: that takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

import torch
from torch import nn

from scaling_ood.images.transforms import INTERPOLATION, Preprocessing
from scaling_ood.models.backbone import Architecture, Source, WeightsUnavailableError, WholeNetwork, unknown_weights
from scaling_ood.models.skeleton import skeleton

TIMM = "timm:"
"""What the names of timm's networks start with."""

_COLOURS = 3


@lru_cache(maxsize=16)
def timm_architecture(name: str) -> Architecture:
    """A network of timm, such as `timm:resnet101.tv_in1k`; without the tag, timm's default weights.

    A network whose head is more than one linear layer gives a backbone only.

    Raises:
        ValueError: timm has no such network or weights, or prepares their images in a way that is not supported here.
    """
    import timm

    own = name.removeprefix(TIMM)
    network, _, tag = own.partition(".")
    if not timm.is_model(network):
        near = get_close_matches(network, timm.list_models(), 1)
        hint = f"; did you mean '{TIMM}{near[0]}'?" if near else ""
        raise ValueError(f"timm {timm.__version__} has no network '{network}'{hint}")
    tags = [other.partition(".")[2] for other in timm.list_models(f"{network}.*", pretrained=True)]
    if tag and tag not in tags:
        raise unknown_weights(f"{TIMM}{network}", tag, tags)
    record: Any = timm.get_pretrained_cfg(own)
    built = skeleton(partial(timm.create_model, own, pretrained=False))
    _, head, features = _split(built, name)
    source = f"timm {timm.__version__}, {network}.{record.tag} ({record.license or 'licence not stated'})"
    return Architecture(
        partial(_build, name),
        features=features,
        preprocessing=_preprocessing(name, record),
        # Some of timm's are built to take every size, though the record of their weights names one.
        fixed_size=record.fixed_input_size and getattr(getattr(built, "patch_embed", None), "strict_img_size", True),
        classes=head.out_features if head and tags else 0,
        weights=source if tags else "",
        whole=WholeNetwork(
            lambda classes: timm.create_model(own, pretrained=False, num_classes=classes),
            lambda whole: _split(whole, name)[:2],
            _renamed,
            partial(_published, name),
        ),
    )


def _preprocessing(name: str, record: Any) -> Preprocessing:
    """What timm's `transforms_imagenet_eval` makes of the record."""
    channels, height, width = record.input_size
    mode = record.crop_mode or "center"
    strange = {
        f"{channels} channels": channels != _COLOURS,
        f"{height} x {width} pixels": height != width,
        f"crop mode '{mode}'": mode not in ("center", "squash", "border"),
        f"interpolation '{record.interpolation}'": record.interpolation not in INTERPOLATION,
    }
    if any(strange.values()):
        found = ", ".join(what for what, is_strange in strange.items() if is_strange)
        raise ValueError(
            f"'{name}' takes images that are prepared in a way that is not supported: {found} (supported: a square "
            f"of 3 channels; {', '.join(INTERPOLATION)})"
        )
    return Preprocessing(
        math.floor(height / record.crop_pct),
        height,
        record.interpolation,
        tuple(record.mean),
        tuple(record.std),
        squash=mode == "squash",
        border=mode == "border",
    )


def _build(name: str, pretrained: bool) -> tuple[nn.Module, nn.Linear | None]:
    import timm

    if not pretrained:
        return _split(timm.create_model(name.removeprefix(TIMM), pretrained=False), name)[0], None
    return _split(_published(name), name)[:2]


def _published(name: str) -> nn.Module:
    import timm

    try:
        return timm.create_model(name.removeprefix(TIMM), pretrained=True)
    except Exception as error:
        raise WeightsUnavailableError(
            f"the published weights of {name} cannot be loaded ({error}); load them once where they can be, and bring "
            "the folder of the Hugging Face cache here"
        ) from error


def _renamed(state: dict[str, torch.Tensor], network: nn.Module) -> Mapping[str, torch.Tensor]:
    """Authors' own files have other names; how they become timm's is kept beside each of its networks."""
    rename = getattr(import_module(type(network).__module__), "checkpoint_filter_fn", None)
    renamed: Mapping[str, torch.Tensor] = rename(state, network) if rename else state
    return renamed


def _split(network: Any, name: str) -> tuple[nn.Module, nn.Linear | None, int]:
    """Backbone, head, and width of the features between them."""
    if not hasattr(network, "reset_classifier"):
        raise ValueError(f"'{name}' is no classification network, but a {type(network).__name__}")
    head = network.get_classifier()
    network.reset_classifier(0)
    if isinstance(head, nn.Linear):
        return network, head, head.in_features
    return network, None, int(network.head_hidden_size)


SOURCE = Source(
    lambda name: name.startswith(TIMM), timm_architecture, lambda: (), lambda: f"those of timm, as '{TIMM}<name>'"
)
