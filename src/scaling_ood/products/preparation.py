"""What data preparation found: the manifest of a benchmark's images, and the record beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from scaling_ood.images import Orientation, RecordedFile, recorded_files
from scaling_ood.images.scenes import LabelMap, label_map
from scaling_ood.images.sharing import Shared
from scaling_ood.parameters.data_sets import NoiseSpec
from scaling_ood.products.keys import NOT_MADE, Origin, digest
from scaling_ood.products.tables import WithTables
from scaling_ood.storage import below


class Record(BaseModel):
    """Base of what is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(Record):
    """Where a data set's files are: below the photographs or below what was rendered, whatever folder that is today.

    Attributes:
        root: Which of the two.
        folder: Relative to it.
    """

    root: Literal["photographs", "fabricated"]
    folder: str


class Classes(Record):
    """Classes of whole images.

    Attributes:
        titles: Their names, to be read by a person.
        groups: Names of the coarse classes; empty where there are none.
        group_of_class: Index of each class's group.
    """

    titles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    group_of_class: tuple[int, ...] = ()


class Scenes(Record):
    """What is known of labelled scenes alone.

    Attributes:
        layout: By which they were read.
        labels: Name of their label map.
        label_ids: What each id means, where `labels` names no map that ships.
        label_names: Names of these ids.
        anomalous_share: Mean share of anomalous pixels of the test scenes that have any.
        without_anomaly: Number of test scenes without an anomaly.
    """

    layout: str
    labels: str
    label_ids: dict[int, int | Literal["anomaly", "void"]] = Field(default_factory=dict)
    label_names: dict[int, str] = Field(default_factory=dict)
    anomalous_share: float
    without_anomaly: int

    @property
    def label_map(self) -> LabelMap:
        """What each id of the label images means."""
        if self.label_ids:
            return LabelMap.from_ids(self.labels, self.label_ids, self.label_names)
        return label_map(self.labels)


class Origins(Record):
    """Where the images of one image set come from.

    Attributes:
        image_set: Its name.
        images: Their number.
        classes: Number of classes that they show; 0 where nobody says.
        data_set: Whose they are.
        place: Where that is; None for images that are generated.
    """

    image_set: str
    images: int
    classes: int
    data_set: str
    place: Place | None

    @property
    def folder(self) -> str:
        """Relative to the photographs or to what was rendered."""
        return self.place.folder if self.place else "generated"


class Findings(Record):
    """What a reader must know of a benchmark's images before any number; no part of any key.

    Attributes:
        origins: Of every image set.
        left_out: Data set to the number of its files that are not used, by reason.
        shared: Pictures that stand in several image sets, or more than once in one.
        notes: Everything else, in words.
        unreadable: Number of images that were set apart because nobody can read them.
        differences: In what copies of data sets differ from what was published, in words.
        curated: Data set to the number of its images that were left out for their quality.
        oriented: Image set to its number of images that EXIF would turn or mirror; sets without any are left out.
    """

    origins: tuple[Origins, ...] = ()
    left_out: dict[str, dict[str, int]] = {}
    shared: tuple[Shared, ...] = ()
    notes: tuple[str, ...] = ()
    unreadable: int = 0
    differences: tuple[str, ...] = ()
    curated: dict[str, int] = {}
    oriented: dict[str, int] = {}


class Preparation(Record):
    """What a benchmark's images turned out to be.

    Attributes:
        benchmark: Its id.
        setting: Which of its settings.
        in_dist: Name of the in-distribution data set.
        ood: What gets rows of its own in the tables, in their order: OOD sets, or sets of test scenes.
        places: Data set to its place; noise has none.
        classes: Names of the in-distribution classes; a target is an index into them.
        sources: OOD set to `photographs`, `noise` or `fabricated`.
        noise: Noise set to its options.
        images: Image set to its number of images.
        digests: Image set to the fingerprint of its ids, targets and contents, and of how they are generated or turned.
        seed: Of every draw.
        trained_fit: Number of fit images that are training images.
        orientation: Whether photographs are taken as they are stored, or turned as EXIF says.
        of_classes: More about classes of whole images.
        scenes: More about labelled scenes; None for whole images.
        given: What a person brought in place of the images, such as `logits`, to its fingerprint where that is not in
            those of the images; empty where there are images.
        found: What a reader must know.
    """

    benchmark: str
    setting: str
    in_dist: str
    ood: tuple[str, ...]
    places: dict[str, Place]
    classes: tuple[str, ...]
    sources: dict[str, str]
    noise: dict[str, NoiseSpec] = {}
    images: dict[str, int]
    digests: dict[str, str]
    seed: int = 0
    trained_fit: int = 0
    orientation: Orientation = "stored"
    of_classes: Classes = Classes()
    scenes: Scenes | None = None
    given: dict[str, str] = {}
    found: Findings = Findings()


@dataclass(frozen=True)
class Manifest(WithTables):
    """All images of a benchmark, and what is known of them.

    Attributes:
        rows: A row per image: `id`, `path`, `image_set`, `data_set`, … in the order of the benchmark.
        preparation: The record.
        roots: Folder of the photographs and of what was rendered, absolute.
        origin: What it was made from.
    """

    rows: pd.DataFrame
    preparation: Preparation
    roots: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = NOT_MADE

    def tells(self) -> dict[str, Any]:
        """The whole record."""
        return self.preparation.model_dump(mode="json")

    def of(self, image_set: str) -> pd.DataFrame:
        """Rows of one image set, in their order."""
        return self.rows[self.rows["image_set"] == image_set]

    def files(self, rows: pd.DataFrame, kind: str = "") -> list[RecordedFile]:
        """The files of some rows; `kind` chooses those of the label images, see `recorded_files`."""
        return recorded_files(rows, rows["data_set"].map(self.folders), kind)

    @cached_property
    def folders(self) -> dict[str, str]:
        """Data set to its absolute folder."""
        places = self.preparation.places
        return {name: below(self.roots[place.root], place.folder) for name, place in places.items()}

    def contents(self, image_sets: Iterable[str]) -> dict[str, Any]:
        """What counts of some image sets, for the key of what is made from them alone."""
        found = self.preparation
        there = [name for name in image_sets if name in found.digests]
        known = digest(found.classes, found.of_classes.group_of_class)
        given = {"given": found.given} if found.given else {}
        return {"classes": known, **given, **{name: found.digests[name] for name in there}}
