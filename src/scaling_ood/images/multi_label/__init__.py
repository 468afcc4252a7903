"""Images that may be of several classes at once: readers of the layouts, targets, and the manifest."""

from scaling_ood.images.multi_label import coco, table, voc
from scaling_ood.images.multi_label.labels import images_per_class, is_labelled, join_labels, targets
from scaling_ood.images.multi_label.layouts import (
    HardObjects,
    MultiLabelSource,
    multi_label_layout_names,
    read_listing,
)
from scaling_ood.images.multi_label.listing import AnnotationError, Listing, MultiLabelImage
from scaling_ood.images.multi_label.preparation import (
    UNSEEN,
    Prepared,
    UnseenSource,
    list_multi_label,
    list_unseen,
    prepare_multi_label,
)

__all__ = [
    "UNSEEN",
    "AnnotationError",
    "HardObjects",
    "Listing",
    "MultiLabelImage",
    "MultiLabelSource",
    "Prepared",
    "UnseenSource",
    "coco",
    "images_per_class",
    "is_labelled",
    "join_labels",
    "list_multi_label",
    "list_unseen",
    "multi_label_layout_names",
    "prepare_multi_label",
    "read_listing",
    "table",
    "targets",
    "voc",
]
