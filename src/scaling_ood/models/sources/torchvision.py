"""Backbones of torchvision by rule: what belongs to their weights stands in the library's own record."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn
from torchvision import models  # type: ignore[import-untyped]

from scaling_ood.images.transforms import Preprocessing
from scaling_ood.models.backbone import Architecture, Source, WeightsUnavailableError, WholeNetwork, unknown_weights
from scaling_ood.models.skeleton import skeleton

IMAGENET_CLASSES = 1000
_SIDE_HEADS = ("aux1", "aux2", "AuxLogits")
# Two networks scale their input themselves, but only with published weights: a trained one must not lose that.
_AS_PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    name: {"transform_input": True, "init_weights": False} for name in ("googlenet", "inception_v3")
}


@lru_cache(maxsize=1)
def torchvision_names() -> tuple[str, ...]:
    """All classification networks of torchvision."""
    return tuple(models.list_models(module=models))


@lru_cache(maxsize=16)
def torchvision_architecture(name: str) -> Architecture:
    """A network of torchvision, such as `resnet101`, or `resnet101.imagenet1k_v2` for other than its first weights.

    Raises:
        ValueError: It has no such weights; names those that it has.
    """
    network, _, wanted = name.partition(".")
    # Weights without a list of classes are no classifier's: VGG-16 has some that feed a detector of objects.
    known = {one.name.lower(): one for one in models.get_model_weights(network) if one.meta.get("categories")}
    if wanted and wanted not in known:
        raise unknown_weights(network, wanted, list(known))
    weights = known[wanted or next(iter(known))]
    presets, file = weights.transforms(), weights.url.rsplit("/", 1)[1]
    built = skeleton(partial(_network, network, None))
    _, head, features = _split(built)
    return Architecture(
        partial(_build, network, weights),
        features=features,
        preprocessing=Preprocessing(
            presets.resize_size[0],
            presets.crop_size[0],
            presets.interpolation.value,
            tuple(presets.mean),
            tuple(presets.std),
        ),
        fixed_size=isinstance(built, models.VisionTransformer | models.MaxVit),
        classes=head.out_features if head else 0,
        published_top1=round(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, 6),
        weights=f"{weights} (torchvision, {weights.meta.get('license', 'BSD-3')})",
        weights_digest=file.removesuffix(".pth").rsplit("-", 1)[1],
        weights_file=file,
        whole=WholeNetwork(
            lambda classes: _network(network, None, classes),
            lambda whole: _split(whole)[:2],
            published=partial(_published, network, weights),
        ),
    )


def _build(name: str, weights: Any, pretrained: bool) -> tuple[nn.Module, nn.Linear | None]:
    if not pretrained:
        return _split(_network(name, None))[0], None
    return _split(_published(name, weights))[:2]


def _published(name: str, weights: Any) -> nn.Module:
    try:
        # A file with code in it is refused here; torchvision's own builder would run it.
        weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        return _network(name, weights)
    except Exception as error:
        # PyTorch's next sentence is advice to run the file's code.
        reason = str(error).partition(". ")[0]
        raise WeightsUnavailableError(
            f"the published weights of {name} cannot be loaded ({reason}); get {weights.url} by other means and put it "
            f"into {torch.hub.get_dir()}/checkpoints, or take efficientnet_lite0, whose weights are installed"
        ) from error


def _network(name: str, weights: Any, classes: int = IMAGENET_CLASSES) -> nn.Module:
    options = _AS_PUBLISHED.get(name, {})
    network: Any = models.get_model(name, weights=weights, progress=False, num_classes=classes, **options)
    if name in _AS_PUBLISHED:
        network.aux_logits = False
        for side in _SIDE_HEADS:
            if hasattr(network, side):
                setattr(network, side, None)
    return network  # type: ignore[no-any-return]


def _split(network: nn.Module) -> tuple[nn.Module, nn.Linear | None, int]:
    """Backbone, head, and width of the features between them."""
    if isinstance(network, models.SqueezeNet):
        features = int(network.classifier[1].in_channels)
        network.classifier = nn.AdaptiveAvgPool2d(1)
        return network, None, features
    # All other networks end in a linear layer, whatever its name.
    name, head = [pair for pair in network.named_modules() if isinstance(pair[1], nn.Linear)][-1]
    assert isinstance(head, nn.Linear)
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, nn.Identity())
    return network, head, head.in_features


SOURCE = Source(
    lambda name: name.partition(".")[0] in torchvision_names(),
    torchvision_architecture,
    torchvision_names,
    lambda: "classification networks of torchvision, such as 'resnet101'",
)
