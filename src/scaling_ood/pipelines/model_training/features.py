"""Features of a published backbone, cached for heads that are trained on them: no image is read twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import nn

from scaling_ood.images import Preprocessing
from scaling_ood.models import ROTATIONS, Forward, ForwardPass, architecture
from scaling_ood.models.rotation import turned
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.pipelines.extraction import Extraction, Tensors, loading_of
from scaling_ood.plans import Part, Plan
from scaling_ood.preparation import Preparation

SHARD_IMAGES = 1024


class FeaturesOnly(nn.Module):
    """A backbone in the form of a network of one variant, `features`, without logits."""

    def __init__(self, backbone: nn.Module) -> None:
        """Take over the backbone."""
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        """Features of normalised images (N, 3, H, W)."""
        return {"features": _without_logits(self.backbone(images))}


class TurnedFeaturesOnly(FeaturesOnly):
    """The same with three variants, one per rotation: see `turn`."""

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        """Features of normalised images (N, 3, H, H), turned by 90, 180 and 270 degrees."""
        quarters = range(1, ROTATIONS)
        return {turn(quarter): _without_logits(self.backbone(turned(images, quarter))) for quarter in quarters}


def turn(quarter: int) -> str:
    """Name of a rotation by so many quarters.

    >>> turn(1)
    'turned90'
    """
    return f"turned{90 * quarter}"


def plan_features(
    key: str,
    manifest: pd.DataFrame,
    prepared: Preparation,
    preprocessing: Preprocessing,
    backbone: str,
    runtime: RuntimeSpec,
    image_sets: Sequence[str] = ("train",),
    form: type[FeaturesOnly] = FeaturesOnly,
) -> Plan[Tensors]:
    """Plan the features of image sets, by the published backbone of that name in one of the forms above."""
    forward = Forward(runtime.device, "float32", runtime.channels_last)
    extraction = Extraction(
        manifest,
        prepared,
        preprocessing,
        forward,
        loading_of(runtime),
        ("features",),
        SHARD_IMAGES,
        network=f"the backbone {backbone}",
    )

    def produce(missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        yield from extraction.produce(form(architecture(backbone).build(True)[0]), missing)

    about = {"device": forward.device_name, "architecture": backbone}
    return Plan(key, extraction.parts(image_sets), produce, about)


def _without_logits(features: torch.Tensor) -> ForwardPass:
    return ForwardPass(features[:, :0], features)
