"""Segmenters by name: those that are trained here, and whole ones of the sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from scaling_ood.images.transforms import Preprocessing
from scaling_ood.models.backbone import Registered
from scaling_ood.models.chance import seeded
from scaling_ood.models.network import Network, Start
from scaling_ood.models.segmentation.encoders import DeepStemResNet, DilatedEfficientNetLite, DilatedResNet, Encoder
from scaling_ood.models.segmentation.pspnet import PSPNet
from scaling_ood.models.segmentation.sources import segmenter_sources
from scaling_ood.models.segmentation.whole import RunAsItIs, WholeSegmenter
from scaling_ood.models.sources import architecture
from scaling_ood.registry import Registry
from scaling_ood.wording import nearest


@dataclass(frozen=True)
class Segmenter(Registered):
    """An encoder that a PSPNet can be built on. Scenes are never cropped: of its preprocessing only mean and std apply.

    Attributes:
        encoder: `(pretrained) -> encoder`.
    """

    encoder: Callable[[bool], Encoder]


def segmenter(name: str) -> Segmenter | WholeSegmenter:
    """The segmenter of that name: one that is trained here, or one of a library or a file that is run as it is.

    Raises:
        ValueError: Unknown name; says the nearest match and all known ones.
    """
    if name in SEGMENTERS:
        return SEGMENTERS[name]
    for source in segmenter_sources():
        if source.has(name):
            return source.segmenter(name)
    known = "; ".join([", ".join(sorted(SEGMENTERS)), *(source.offers for source in segmenter_sources())])
    raise ValueError(f"unknown segmenter '{name}'{nearest(name, SEGMENTERS)} (known: {known})")


def build_segmenter(
    name: str,
    classes: int,
    *,
    seed: int,
    start: Start,
    width: int = 512,
    dropout: float = 0.1,
    confidence: bool = False,
) -> Network:
    """A PSPNet with new heads, whose initial weights depend on the seed alone; or a whole segmenter.

    Args:
        name: Registered segmenter.
        classes: Number of classes C.
        seed: Of the new weights.
        start: Of the encoder.
        width: Channels of the decoder.
        dropout: Share of the decoder's channels that are dropped.
        confidence: Whether there is a confidence head.

    Raises:
        ValueError: Unknown name, or published weights are wanted where there are none.
    """
    registered = segmenter(name)
    if start == "published" and not registered.weights:
        raise ValueError(f"'{name}' has no published weights: train it from random ones")
    if isinstance(registered, WholeSegmenter):
        return RunAsItIs(registered, registered.build(classes, start == "published"))
    with seeded(seed):
        encoder = registered.encoder(start == "published")
        return PSPNet(encoder, classes, width=width, dropout=dropout, confidence=confidence)


def _resnet(block: str, layers: list[int], weights: str, pretrained: bool) -> Encoder:
    from torchvision.models import get_weight, resnet  # type: ignore[import-untyped]

    network = resnet.ResNet(getattr(resnet, block), layers)
    if pretrained and weights:
        state = get_weight(weights).get_state_dict(progress=False, check_hash=True, weights_only=True)
        network.load_state_dict(state)
    return DilatedResNet(network)


def _deep_stem(layers: list[int], _pretrained: bool) -> Encoder:
    from torchvision.models import resnet

    return DeepStemResNet(resnet.ResNet(resnet.Bottleneck, layers))


def _efficientnet_lite0(blocks: int, pretrained: bool) -> Encoder:
    backbone, _ = architecture("efficientnet_lite0").build(pretrained)
    return DilatedEfficientNetLite(backbone, blocks)


def _from_torchvision(block: str, layers: list[int], weights: str, digest: str) -> Segmenter:
    """An encoder of torchvision, which is imported when one is built; the digest is that of the file's name."""
    encoder, told = partial(_resnet, block, layers, weights), f"{weights} (torchvision, BSD-3)"
    return Segmenter(encoder, preprocessing=_IMAGENET, weights=told, weights_digest=digest)


def _from_lite0(blocks: int) -> Segmenter:
    lite0 = architecture("efficientnet_lite0")
    encoder = partial(_efficientnet_lite0, blocks)
    return Segmenter(
        encoder,
        preprocessing=lite0.preprocessing,
        weights=lite0.weights,
        weights_digest=lite0.weights_digest,
        version=lite0.version,
    )


_IMAGENET = Preprocessing(256, 224, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

SEGMENTERS = Registry(
    "segmenter",
    {
        "pspnet_efficientnet_lite0": _from_lite0(blocks=16),
        # Without the last five blocks, which the dilation makes four fifths of the work: for training without a GPU.
        "pspnet_efficientnet_lite0_short": _from_lite0(blocks=11),
        "pspnet_resnet10": Segmenter(partial(_resnet, "BasicBlock", [1, 1, 1, 1], ""), preprocessing=_IMAGENET),
        "pspnet_resnet18": _from_torchvision("BasicBlock", [2, 2, 2, 2], "ResNet18_Weights.IMAGENET1K_V1", "f37072fd"),
        "pspnet_resnet50": _from_torchvision("Bottleneck", [3, 4, 6, 3], "ResNet50_Weights.IMAGENET1K_V1", "0676ba61"),
        "pspnet_resnet101": _from_torchvision(
            "Bottleneck", [3, 4, 23, 3], "ResNet101_Weights.IMAGENET1K_V1", "63fe2227"
        ),
        # The released code's. ImageNet weights of this form are on their authors' host alone, without a published
        # digest.
        "pspnet_resnet50_deepstem": Segmenter(partial(_deep_stem, [3, 4, 6, 3]), preprocessing=_IMAGENET),
        "pspnet_resnet101_deepstem": Segmenter(partial(_deep_stem, [3, 4, 23, 3]), preprocessing=_IMAGENET),
    },
)
