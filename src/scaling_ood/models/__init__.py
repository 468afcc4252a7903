"""Networks: builders, their weights, what belongs to the weights, and how they are run."""

from scaling_ood.models.adoption import adopted_state
from scaling_ood.models.backbone import Architecture, WeightsUnavailableError
from scaling_ood.models.checkpoints import (
    Checkpoint,
    fitting_state,
    read_checkpoint,
)
from scaling_ood.models.class_order import named_positions, positions, read_class_order, spelled_otherwise
from scaling_ood.models.cutting import HeadError
from scaling_ood.models.file_forms import CheckpointError
from scaling_ood.models.files import file_sha256
from scaling_ood.models.fingerprint import published_digest, weights_digest
from scaling_ood.models.forward import Forward, Precision, exact_float32
from scaling_ood.models.heads import ROTATIONS, ClassHead, Head, MultiLabelHead
from scaling_ood.models.image_network import (
    ClassCountError,
    ImageNetwork,
    build_head,
    build_network,
    published_network,
)
from scaling_ood.models.network import Network, Start, encode_all
from scaling_ood.models.output_checks import NetworkOutputError, OutputCheck
from scaling_ood.models.sources import ARCHITECTURES, HEAD, architecture

__all__ = [
    "ARCHITECTURES",
    "HEAD",
    "ROTATIONS",
    "Architecture",
    "Checkpoint",
    "CheckpointError",
    "ClassCountError",
    "ClassHead",
    "Forward",
    "Head",
    "HeadError",
    "ImageNetwork",
    "MultiLabelHead",
    "Network",
    "NetworkOutputError",
    "OutputCheck",
    "Precision",
    "Start",
    "WeightsUnavailableError",
    "adopted_state",
    "architecture",
    "build_head",
    "build_network",
    "encode_all",
    "exact_float32",
    "file_sha256",
    "fitting_state",
    "named_positions",
    "positions",
    "published_digest",
    "published_network",
    "read_checkpoint",
    "read_class_order",
    "spelled_otherwise",
    "weights_digest",
]
