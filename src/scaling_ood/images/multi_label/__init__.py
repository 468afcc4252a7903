"""Images that may be of several classes at once: readers of the layouts, and targets."""

from scaling_ood.images.multi_label import coco, table, voc
from scaling_ood.images.multi_label.labels import is_labelled, targets
from scaling_ood.images.multi_label.listing import AnnotationError
from scaling_ood.images.multi_label.sources import LAYOUTS, MultiLabelSource, check_source, list_multi_label

__all__ = [
    "LAYOUTS",
    "AnnotationError",
    "MultiLabelSource",
    "check_source",
    "coco",
    "is_labelled",
    "list_multi_label",
    "table",
    "targets",
    "voc",
]
