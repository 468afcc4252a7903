"""Labelled scenes: readers of the official layouts, label maps, splits by content, and the manifest of it all."""

from scaling_ood.images.scenes import readers
from scaling_ood.images.scenes.labels import ANOMALY, VOID, LabelMap, UnknownLabelError
from scaling_ood.images.scenes.listing import LAYOUTS, OWN_OUTPUTS
from scaling_ood.images.scenes.one_sided import refuse_one_sided_scenes
from scaling_ood.images.scenes.pairing import Pairing
from scaling_ood.images.scenes.preparation import SceneSource, label_map_of, prepare_scenes, rule_of
from scaling_ood.images.scenes.reading import read_labels
from scaling_ood.images.scenes.splits import SplitRule, in_subset
from scaling_ood.images.scenes.statistics import anomalous_area, scenes_digest
from scaling_ood.images.scenes.tables import label_map, label_map_names

__all__ = [
    "ANOMALY",
    "LAYOUTS",
    "OWN_OUTPUTS",
    "VOID",
    "LabelMap",
    "Pairing",
    "SceneSource",
    "SplitRule",
    "UnknownLabelError",
    "anomalous_area",
    "in_subset",
    "label_map",
    "label_map_names",
    "label_map_of",
    "prepare_scenes",
    "read_labels",
    "readers",
    "refuse_one_sided_scenes",
    "rule_of",
    "scenes_digest",
]
