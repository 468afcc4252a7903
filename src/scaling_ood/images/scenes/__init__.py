"""Labelled scenes: readers of the official layouts, label maps, splits by content, and the manifest of it all."""

from scaling_ood.images.scenes import readers
from scaling_ood.images.scenes.labels import (
    ANOMALY,
    VOID,
    LabelMap,
    LabelRow,
    UnknownLabelError,
)
from scaling_ood.images.scenes.layouts import find_scene_layout, list_scenes, scene_layout_names
from scaling_ood.images.scenes.one_sided import refuse_one_sided_scenes
from scaling_ood.images.scenes.pairing import Pairing, Scene, UnpairedError
from scaling_ood.images.scenes.preparation import (
    LabelKindError,
    SceneSource,
    labels_of,
    prepare_scenes,
    read_scene_source,
    rule_of,
)
from scaling_ood.images.scenes.reading import UnreadableLabelError, count_labels, read_labels
from scaling_ood.images.scenes.shipped import label_map, label_map_names
from scaling_ood.images.scenes.splits import SplitError, SplitRule, Subset, in_subset, mark_subsets, split_by_content
from scaling_ood.images.scenes.statistics import AnomalousArea, anomalous_area, images_per_class, scenes_digest
from scaling_ood.images.scenes.survey import set_apart, survey

__all__ = [
    "ANOMALY",
    "VOID",
    "AnomalousArea",
    "LabelKindError",
    "LabelMap",
    "LabelRow",
    "Pairing",
    "Scene",
    "SceneSource",
    "SplitError",
    "SplitRule",
    "Subset",
    "UnknownLabelError",
    "UnpairedError",
    "UnreadableLabelError",
    "anomalous_area",
    "count_labels",
    "find_scene_layout",
    "images_per_class",
    "in_subset",
    "label_map",
    "label_map_names",
    "labels_of",
    "list_scenes",
    "mark_subsets",
    "prepare_scenes",
    "read_labels",
    "read_scene_source",
    "readers",
    "refuse_one_sided_scenes",
    "rule_of",
    "scene_layout_names",
    "scenes_digest",
    "set_apart",
    "split_by_content",
    "survey",
]
