"""Networks: builders, their weights, and what belongs to the weights."""

from scaling_ood.models.architectures import ARCHITECTURES, Architecture, architecture
from scaling_ood.models.classifier import Classifier
from scaling_ood.models.fingerprint import weights_digest

__all__ = ["ARCHITECTURES", "Architecture", "Classifier", "architecture", "weights_digest"]
