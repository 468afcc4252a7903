"""The record that data preparation leaves beside the manifest, and the keys of everything made from it.

A key is the fingerprint of all that a product depends on: manifest content, weights, transform, precision, the
product's own options; never paths, batch sizes or worker counts. Producers store it, consumers compute it anew and
refuse a product that bears another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from scaling_ood.images import Orientation, Preprocessing
from scaling_ood.images.sharing import Shared
from scaling_ood.models import Variant, architecture, published_digest
from scaling_ood.networks import ROTATION, SHARED
from scaling_ood.parameters.data_sets import NoiseSpec
from scaling_ood.parameters.multi_class import ClassifierNetworksSpec, ExtractionSpec, ModelSpec
from scaling_ood.plans import StaleProductError, digest


class TrainedModel(Protocol):
    """Parameters of a model, as far as tables and scores want to know them."""

    @property
    def architecture(self) -> str:
        """Registered name."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """What one network each is trained on; the first is the one that the results table shows."""
        ...

    @property
    def seeds(self) -> Sequence[int]:
        """One network per seed."""
        ...


class Findings(BaseModel):
    """What a reader must know of a benchmark's images before any number; no part of any key.

    Attributes:
        left_out: Data set to the number of its files that are not used, by reason.
        shared: Pictures that stand in several image sets, or more than once in one.
        notes: Everything else, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    left_out: dict[str, dict[str, int]] = {}
    shared: tuple[Shared, ...] = ()
    notes: tuple[str, ...] = ()


class Preparation(Findings):
    """What a benchmark's images turned out to be.

    Attributes:
        benchmark: Id of the benchmark.
        in_dist: Name of the in-distribution data set.
        ood: Names of the OOD sets, in the order of the tables.
        folders: Data set to its absolute folder; no part of any key.
        classes: Names of the in-distribution classes; a label is an index into it.
        titles: The same, to be read by a person.
        groups: Names of the coarse classes; empty where there are none.
        group_of_class: Index of each class's group.
        sources: OOD set to `photographs`, `noise` or `fabricated`.
        noise: Noise set to its options.
        images: Image set to its number of images.
        digests: Image set to the fingerprint of its ids, labels and contents.
        unreadable: Number of quarantined images.
        seed: Of every draw.
        differences: In what copies of data sets differ from what was published, in words.
        checkpoint: SHA-256 of the file of weights that are used as they are; empty without one.
        curated: Data set to the number of its images that were left out for their quality.
        trained_fit: Number of fit images that are training images.
        orientation: Whether photographs are taken as they are stored, or turned as EXIF says.
        oriented: Image set to its number of images that EXIF would turn or mirror; sets without any are left out.
    """

    benchmark: str
    in_dist: str
    ood: tuple[str, ...]
    folders: dict[str, str]
    classes: tuple[str, ...]
    titles: tuple[str, ...]
    groups: tuple[str, ...]
    group_of_class: tuple[int, ...]
    sources: dict[str, str]
    noise: dict[str, NoiseSpec]
    images: dict[str, int]
    digests: dict[str, str]
    unreadable: int
    seed: int
    differences: tuple[str, ...] = ()
    checkpoint: str = ""
    curated: dict[str, int] = {}
    trained_fit: int = 0
    orientation: Orientation = "stored"
    oriented: dict[str, int] = {}

    @property
    def judged_sets(self) -> tuple[str, ...]:
        """In-distribution image sets that a classifier's accuracy is measured on: those that it was not trained on."""
        return ("test",) if self.trained_fit else ("fit", "test")

    @property
    def scored_sets(self) -> tuple[str, ...]:
        """Image sets that every detector scores."""
        return ("test", *self.ood)

    @property
    def extracted_sets(self) -> tuple[str, ...]:
        """Image sets that go through the network for the detectors."""
        return ("fit", *self.scored_sets)

    def variants(self, spec: TrainedModel) -> list[Variant]:
        """One classifier per kind of labels and seed."""
        counts = {"fine": len(self.classes), "coarse": len(self.groups)}
        return [Variant(labels, seed, counts[labels]) for labels in spec.labels for seed in spec.seeds]


def preprocessing_of(spec: ModelSpec, prepared: Preparation) -> Preprocessing:
    """Preprocessing of the model's weights, at the model's input size, of photographs that lie as the data has them."""
    return replace(architecture(spec.architecture).preprocessing.at(spec.input_px), orientation=prepared.orientation)


def training_features_key(preparation: Preparation, spec: ModelSpec) -> str:
    """Key of the cached features of the training images."""
    return digest(
        preparation.digests["train"], published_digest(spec.architecture), preprocessing_of(spec, preparation)
    )


def model_key(preparation: Preparation, spec: ModelSpec) -> str:
    """Key of the trained or verified model."""
    if spec.weights == "checkpoint":
        return digest(spec.architecture, preparation.checkpoint, preparation.classes)
    random = spec.training == "network" and not spec.pretrained
    weights = "" if random else published_digest(spec.architecture)
    if spec.training == "none":
        return digest(spec.architecture, weights, preparation.classes)
    options = spec.model_dump(mode="json", exclude={"least_top1", "weights", "pretrained"})
    return digest(
        options, weights, preprocessing_of(spec, preparation), preparation.digests["train"], preparation.group_of_class
    )


def turned_features_key(preparation: Preparation, spec: ModelSpec) -> str:
    """Key of the cached features of the training images turned by 90, 180 and 270 degrees."""
    return digest(training_features_key(preparation, spec), "turned")


def network_key(preparation: Preparation, spec: ModelSpec, networks: ClassifierNetworksSpec, kind: str) -> str:
    """Key of the trained networks of one kind, see `networks`; of the classifiers themselves for the shared one."""
    classifiers = model_key(preparation, spec)
    if kind == SHARED:
        return classifiers
    without = {"least_top1"} | ({"width"} if kind == ROTATION and spec.training == "network" else set())
    return digest(classifiers, kind, getattr(networks, kind).model_dump(mode="json", exclude=without))


def outputs_key(
    preparation: Preparation, spec: ModelSpec, extraction: ExtractionSpec, fields: Sequence[str], model: str = ""
) -> str:
    """Key of the stored outputs, of the networks with the key `model`; by default of the classifiers."""
    sets = {name: preparation.digests[name] for name in preparation.extracted_sets}
    noise = {name: options.model_dump(mode="json") for name, options in preparation.noise.items()}
    # Options count where they change what is stored, so that keys from before an option was there stay what they were.
    unused = {"odin"} - ({"odin"} if "odin_logits" in fields else set())
    unused |= {"stored"} if extraction.stored == "float32" else set()
    stored = extraction.model_dump(mode="json", exclude=unused)
    return digest(
        model or model_key(preparation, spec), preprocessing_of(spec, preparation), sets, noise, stored, list(fields)
    )


def scores_key(outputs: str, detector: str, options: Mapping[str, Any]) -> str:
    """Key of one detector's scores."""
    return digest(outputs, detector, dict(options))


class File(Protocol):
    """A file that a person provides."""

    @property
    def path(self) -> str:
        """Absolute."""
        ...

    @property
    def sha256(self) -> str:
        """Of its content."""
        ...


def refuse_other_file(checkpoint: File, sha256: str) -> None:
    """Make sure that weights are still those that the data was prepared with.

    Raises:
        StaleProductError: They are not.
    """
    if checkpoint.sha256 != sha256:
        raise StaleProductError(
            f"{checkpoint.path} is not the file that the data was prepared with: run data_preparation again"
        )


class Keyed(Protocol):
    """A stored product."""

    @property
    def key(self) -> str:
        """What it was made from."""
        ...


def refuse_stale(product: Keyed, key: str, name: str) -> None:
    """Make sure that a stored product was made from the present inputs.

    Raises:
        StaleProductError: It was not; names the product and the command that renews it.
    """
    if product.key != key:
        raise StaleProductError(
            f"{name} is stale: it was made from other inputs (data, model or options) than the present ones. "
            f"Renew it: kedro run --to-outputs {name} (with the same --env and --params)"
        )
