"""Segmenters of torchvision, such as `deeplabv3_resnet50`, with their published weights or those of a file."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn
from torchvision import models  # type: ignore[import-untyped]

from scaling_ood.images.transforms import Preprocessing
from scaling_ood.models.backbone import WeightsUnavailableError, unknown_weights
from scaling_ood.models.segmentation.sources import SegmenterSource
from scaling_ood.models.segmentation.whole import WholeSegmenter

_AUXILIARY = "aux_classifier."


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(models.list_models(module=models.segmentation))


@lru_cache(maxsize=8)
def torchvision_segmenter(name: str) -> WholeSegmenter:
    """A segmenter of torchvision, or `NAME.WEIGHTS` for other than its first weights.

    Raises:
        ValueError: It has no such weights; names those that it has.
    """
    network, _, wanted = name.partition(".")
    known = {one.name.lower(): one for one in models.get_model_weights(network)}
    if wanted and wanted not in known:
        raise unknown_weights(network, wanted, list(known))
    weights = known[wanted or next(iter(known))]
    presets, file = weights.transforms(), weights.url.rsplit("/", 1)[1]
    side = presets.resize_size[0]
    return WholeSegmenter(
        partial(_build, network, weights),
        _run,
        preprocessing=Preprocessing(side, side, "bilinear", tuple(presets.mean), tuple(presets.std)),
        classes=len(weights.meta["categories"]),
        multiple=8,
        unread=(_AUXILIARY,),
        weights=f"{weights} (torchvision, {weights.meta.get('license', 'BSD-3')})",
        weights_digest=file.removesuffix(".pth").rsplit("-", 1)[1],
        class_names=tuple(weights.meta["categories"]),
    )


def _build(name: str, weights: Any, classes: int, pretrained: bool) -> nn.Module:
    network: nn.Module = models.get_model(name, weights=None, weights_backbone=None, num_classes=classes)
    if not pretrained:
        return network
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:
        raise WeightsUnavailableError(
            f"the published weights of {name} cannot be loaded ({str(error).partition('. ')[0]}); get {weights.url} by "
            f"other means and put it into {torch.hub.get_dir()}/checkpoints"
        ) from error
    network.load_state_dict({key: each for key, each in state.items() if not key.startswith(_AUXILIARY)})
    return network


def _run(network: Any, images: torch.Tensor) -> Any:
    """Logits at stride 8 or 16, before the network would up-sample them to the size of the images."""
    features = network.backbone(images)
    plain = isinstance(network, models.segmentation.LRASPP)
    return network.classifier(features if plain else features["out"])


SOURCE = SegmenterSource(
    lambda name: name.partition(".")[0] in _names(),
    torchvision_segmenter,
    "segmenters of torchvision, such as 'deeplabv3_resnet50'",
)
