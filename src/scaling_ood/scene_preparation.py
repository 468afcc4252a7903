"""The record that data preparation leaves beside a manifest of scenes, and the keys of what is made from them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from scaling_ood.images import Preprocessing
from scaling_ood.models.segmentation import segmenter
from scaling_ood.plans import digest
from scaling_ood.scene_parameters import SceneExtractionSpec, SegmenterSpec

WHOLE = "test"
"""Name of all test scenes together, in the column of OOD sets."""


class ScenePreparation(BaseModel):
    """What a benchmark's scenes turned out to be.

    Attributes:
        benchmark: Id of the benchmark.
        data_set: Name of the data set.
        folder: Its absolute folder; no part of any key.
        layout: By which it was read.
        labels: Name of its label map.
        classes: Names of the classes that are trained on; a train id is an index into it.
        subsets: Test scenes that get rows of their own, beside all of them.
        images: Role (`train`, `validation`, `test`) to its number of scenes.
        digests: Role to the fingerprint of its ids, contents and labels.
        anomalous_share: Mean share of anomalous pixels of the test scenes that have any.
        without_anomaly: Number of test scenes without an anomaly.
        unreadable: Number of scenes that were set apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    data_set: str
    folder: str
    layout: str
    labels: str
    classes: tuple[str, ...]
    subsets: tuple[str, ...]
    images: dict[str, int]
    digests: dict[str, str]
    anomalous_share: float
    without_anomaly: int
    unreadable: int

    @property
    def ood_sets(self) -> tuple[str, ...]:
        """Rows of the results: all test scenes, then the subsets that are not all of them."""
        return (WHOLE, *(name for name in self.subsets if name != "all"))


def scene_preprocessing(spec: SegmenterSpec) -> Preprocessing:
    """Normalisation of the encoder's weights; scenes are scaled, never cropped."""
    return segmenter(spec.architecture).preprocessing


def segmenter_key(preparation: ScenePreparation, spec: SegmenterSpec) -> str:
    """Key of the trained segmenter."""
    weights = segmenter(spec.architecture).weights_digest if spec.pretrained else ""
    options = spec.model_dump(
        mode="json", exclude={"least_miou", "test_edge"} if not spec.test_edge else {"least_miou"}
    )
    roles = {role: preparation.digests[role] for role in ("train", "validation")}
    return digest(options, weights, scene_preprocessing(spec), roles, preparation.classes)


def scene_outputs_key(
    preparation: ScenePreparation, spec: SegmenterSpec, extraction: SceneExtractionSpec, fields: Sequence[str]
) -> str:
    """Key of the stored outputs; the number of dropout passes counts only where they are made."""
    options = extraction.model_dump(mode="json")
    if "posterior_variance" not in fields:
        del options["dropout_passes"]
    roles = {role: preparation.digests[role] for role in ("validation", "test")}
    return digest(segmenter_key(preparation, spec), roles, spec.test_edge, spec.longest_edge, options, list(fields))
