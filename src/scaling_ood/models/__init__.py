"""Networks: builders, their weights, what belongs to the weights, and how they are run."""

from scaling_ood.models.architectures import ARCHITECTURES, architecture
from scaling_ood.models.backbone import Architecture, WeightsUnavailableError
from scaling_ood.models.checkpoint import CheckpointError, read_checkpoint, refuse_misfit
from scaling_ood.models.classifier import Classifier
from scaling_ood.models.confidence import CONFIDENCES, ConfidenceNetworks
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
from scaling_ood.models.rotation import ROTATIONS, RotationNetworks
from scaling_ood.models.two_headed import TwoHeaded, TwoHeads, build_two_headed, trained_two_headed

__all__ = [
    "ARCHITECTURES",
    "CONFIDENCES",
    "ROTATIONS",
    "Architecture",
    "CheckpointError",
    "ClassCountError",
    "Classifier",
    "ConfidenceNetworks",
    "Forward",
    "ForwardPass",
    "MultiLabelClassifier",
    "MultiLabelHead",
    "MultiLabelNetworks",
    "RotationNetworks",
    "TwoHeaded",
    "TwoHeads",
    "Variant",
    "WeightsUnavailableError",
    "architecture",
    "assemble",
    "assemble_multilabel",
    "build_multilabel",
    "build_multilabel_head",
    "build_two_headed",
    "published_digest",
    "read_checkpoint",
    "refuse_misfit",
    "trainable",
    "trained_two_headed",
    "weights_digest",
]
