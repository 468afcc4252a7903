"""Networks: builders, their weights, what belongs to the weights, and how they are run."""

from scaling_ood.models.adoption import adopted_state
from scaling_ood.models.architectures import ARCHITECTURES, architecture
from scaling_ood.models.backbone import Architecture, WeightsUnavailableError
from scaling_ood.models.checkpoints import (
    Checkpoint,
    fitting_state,
    read_checkpoint,
)
from scaling_ood.models.classifier import Classifier
from scaling_ood.models.confidence import CONFIDENCES, ConfidenceNetworks
from scaling_ood.models.file_forms import CheckpointError
from scaling_ood.models.fingerprint import file_sha256, published_digest, weights_digest
from scaling_ood.models.forward import Forward, exact_float32
from scaling_ood.models.multilabel import (
    MultiLabelClassifier,
    MultiLabelHead,
    MultiLabelNetworks,
    assemble_multilabel,
    build_multilabel,
    build_multilabel_head,
)
from scaling_ood.models.network import ClassCountError, ForwardPass, Variant, assemble, trainable
from scaling_ood.models.output_checks import NetworkOutputError, OutputCheck
from scaling_ood.models.rotation import ROTATIONS, RotationNetworks
from scaling_ood.models.two_headed import TwoHeaded, TwoHeads, build_two_headed, trained_two_headed

__all__ = [
    "ARCHITECTURES",
    "CONFIDENCES",
    "ROTATIONS",
    "Architecture",
    "Checkpoint",
    "CheckpointError",
    "ClassCountError",
    "Classifier",
    "ConfidenceNetworks",
    "Forward",
    "ForwardPass",
    "MultiLabelClassifier",
    "MultiLabelHead",
    "MultiLabelNetworks",
    "NetworkOutputError",
    "OutputCheck",
    "RotationNetworks",
    "TwoHeaded",
    "TwoHeads",
    "Variant",
    "WeightsUnavailableError",
    "adopted_state",
    "architecture",
    "assemble",
    "assemble_multilabel",
    "build_multilabel",
    "build_multilabel_head",
    "build_two_headed",
    "exact_float32",
    "file_sha256",
    "fitting_state",
    "published_digest",
    "read_checkpoint",
    "trainable",
    "trained_two_headed",
    "weights_digest",
]
