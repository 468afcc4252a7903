"""Networks that look at scenes: segmenters with their registry, and the autoencoder."""

from scaling_ood.models.segmentation.autoencoder import (
    AUTOENCODER_PREPROCESSING,
    Difference,
    SpatialAutoencoder,
    build_autoencoder,
    reconstruction_error,
)
from scaling_ood.models.segmentation.encoders import STRIDE, Encoder, Maps
from scaling_ood.models.segmentation.pspnet import PSPNet
from scaling_ood.models.segmentation.ragged import Ragged, groups_of
from scaling_ood.models.segmentation.registry import SEGMENTERS, Segmenter, build_segmenter, segmenter
from scaling_ood.models.segmentation.whole import RunAsItIs, WholeSegmenter, stride_of

__all__ = [
    "AUTOENCODER_PREPROCESSING",
    "SEGMENTERS",
    "STRIDE",
    "Difference",
    "Encoder",
    "Maps",
    "PSPNet",
    "Ragged",
    "RunAsItIs",
    "Segmenter",
    "SpatialAutoencoder",
    "WholeSegmenter",
    "build_autoencoder",
    "build_segmenter",
    "groups_of",
    "reconstruction_error",
    "segmenter",
    "stride_of",
]
