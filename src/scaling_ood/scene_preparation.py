"""The record that data preparation leaves beside a manifest of scenes, and the keys of what is made from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from scaling_ood.images import Orientation, Preprocessing
from scaling_ood.images.scenes import LabelMap, label_map
from scaling_ood.models.segmentation import STRIDE, segmenter
from scaling_ood.networks import AUTOENCODER, CONFIDENCE, SHARED
from scaling_ood.parameters.segmentation import AutoencoderSpec, NetworksSpec, SceneExtractionSpec, SegmenterSpec
from scaling_ood.plans import digest
from scaling_ood.preparation import Findings

WHOLE = "test"
"""Name of all test scenes together, in the column of OOD sets."""


AUTOENCODER_NAME = "spatial_autoencoder"
RANDOM = "random initialisation"


class ScenePreparation(Findings):
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
        label_ids: What each id means, where `labels` names no map that ships.
        label_names: Names of these ids.
        checkpoint: SHA-256 of the weights that are used as they are; empty where the segmenter is trained.
        orientation: Whether photographs are taken as they are stored, or turned as EXIF says.
        oriented: Role to its number of photographs that EXIF would turn or mirror; roles without any are left out.
    """

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
    label_ids: dict[int, int | Literal["anomaly", "void"]] = Field(default_factory=dict)
    label_names: dict[int, str] = Field(default_factory=dict)
    checkpoint: str = ""
    orientation: Orientation = "stored"
    oriented: dict[str, int] = Field(default_factory=dict)

    @property
    def label_map(self) -> LabelMap:
        """What each id of its label images means."""
        if self.label_ids:
            return LabelMap.from_ids(self.labels, self.label_ids, self.label_names)
        return label_map(self.labels)

    def network_classes(self, spec: SegmenterSpec) -> int:
        """Number of classes that the segmenter tells apart."""
        return spec.classes or len(self.classes)

    def has_truth(self, spec: SegmenterSpec) -> bool:
        """Whether the labels say which of the segmenter's classes is right; some tell anomalous from known alone."""
        return self.network_classes(spec) == len(self.classes)

    @property
    def ood_sets(self) -> tuple[str, ...]:
        """Rows of the results: all test scenes, then the subsets that are not all of them."""
        return (WHOLE, *(name for name in self.subsets if name != "all"))


def scene_preprocessing(spec: SegmenterSpec) -> Preprocessing:
    """Normalisation of the encoder's weights; scenes are scaled, never cropped."""
    return segmenter(spec.architecture).preprocessing


def weights_of(spec: SegmenterSpec) -> str:
    """Where the segmenter's training starts from, or the weights that are used as they are."""
    if spec.training == "none":
        return "checkpoint"
    return f"{segmenter(spec.architecture).weights}; encoder only" if spec.pretrained else RANDOM


def variant_of(seed: int) -> str:
    """Name of the network of one seed.

    >>> variant_of(2)
    'seed2'
    """
    return f"seed{seed}"


def autoencoder_edge(spec: SegmenterSpec, own: AutoencoderSpec) -> int | None:
    """Length to which the shorter side is scaled before the autoencoder; None: as it is."""
    return own.edge or spec.test_edge


def segmenter_key(preparation: ScenePreparation, spec: SegmenterSpec) -> str:
    """Key of the trained segmenters."""
    if spec.training == "none":
        network = spec.model_dump(mode="json", include={"architecture", "width", "classes"})
        return digest(network, preparation.checkpoint, scene_preprocessing(spec), preparation.network_classes(spec))
    weights = segmenter(spec.architecture).weights_digest if spec.pretrained else ""
    # Options count where they change what is trained, so that keys from before an option was there stay what they were.
    unused = {"images_per_scale"} - ({"images_per_scale"} if spec.images_per_scale else set())
    unused |= {"best_epoch"} if spec.best_epoch == "validation" else set()
    unused |= {"label_stride"} if spec.label_stride == STRIDE else set()
    options = spec.model_dump(mode="json", exclude={"least_miou", "training", "classes", *unused})
    roles = {role: preparation.digests[role] for role in ("train", "validation")}
    return digest(options, weights, scene_preprocessing(spec), roles, preparation.classes)


def network_key(preparation: ScenePreparation, spec: SegmenterSpec, networks: NetworksSpec, kind: str) -> str:
    """Key of the trained networks that detectors of one kind read; see `networks`."""
    if kind == AUTOENCODER:
        roles = {role: preparation.digests[role] for role in ("train", "validation")}
        scaling = spec.model_dump(mode="json", include={"seeds", "short_edges", "test_edge", "longest_edge"})
        return digest(networks.autoencoder, scaling, roles)
    shared = segmenter_key(preparation, spec)
    return digest(shared, networks.confidence_branch) if kind == CONFIDENCE else shared


def scene_outputs_key(
    preparation: ScenePreparation,
    spec: SegmenterSpec,
    extraction: SceneExtractionSpec,
    networks: NetworksSpec,
    fields: Sequence[str],
    kind: str = SHARED,
) -> str:
    """Key of the stored outputs; an option counts only where it changes them."""
    unused = set() if "posterior_variance" in fields else {"dropout_passes"}
    if kind == AUTOENCODER:
        unused.add("scales")
    options = extraction.model_dump(mode="json", exclude=unused)
    roles = {role: preparation.digests[role] for role in roles_of(preparation, kind)}
    return digest(network_key(preparation, spec, networks, kind), roles, options, list(fields))


def roles_of(preparation: ScenePreparation, kind: str) -> list[str]:
    """Roles whose scenes go through the networks of a kind; only the segmenter's quality is measured on its outputs."""
    roles = ("validation", "test") if kind == SHARED else ("test",)
    return [role for role in roles if role in preparation.images]
