"""Networks: builders, their weights, what belongs to the weights, and how they are run."""

from scaling_ood.models.architectures import ARCHITECTURES, architecture
from scaling_ood.models.backbone import Architecture, WeightsUnavailableError
from scaling_ood.models.checkpoint import CheckpointError, read_checkpoint, refuse_misfit
from scaling_ood.models.classifier import Classifier
from scaling_ood.models.fingerprint import published_digest, weights_digest
from scaling_ood.models.forward import Forward
from scaling_ood.models.multilabel import (
    MultiLabelClassifier,
    MultiLabelHead,
    MultiLabelNetworks,
    assemble_multilabel,
    build_multilabel,
    build_multilabel_head,
)
from scaling_ood.models.network import ClassCountError, ForwardPass, Variant, assemble, trainable

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "CheckpointError",
    "ClassCountError",
    "Classifier",
    "Forward",
    "ForwardPass",
    "MultiLabelClassifier",
    "MultiLabelHead",
    "MultiLabelNetworks",
    "Variant",
    "WeightsUnavailableError",
    "architecture",
    "assemble",
    "assemble_multilabel",
    "build_multilabel",
    "build_multilabel_head",
    "published_digest",
    "read_checkpoint",
    "refuse_misfit",
    "trainable",
    "weights_digest",
]
