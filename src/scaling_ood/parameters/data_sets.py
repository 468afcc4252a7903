"""Parameters of the library of data sets, and of what a benchmark takes from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from scaling_ood.images import LAYOUTS, Noise, Orientation
from scaling_ood.images.class_lists import CLASS_LISTS
from scaling_ood.images.counts import known_part
from scaling_ood.images.quality import QUALITY_MEASURES
from scaling_ood.parameters.common import (
    AnyDataSpec,
    Count,
    Name,
    Share,
    Silent,
    Spec,
    reserved_names,
    unfit_names,
)
from scaling_ood.wording import refuse_unknown


class ClassSelection(Spec):
    """Which classes of a data set count, by a table that ships with the readers (`scaling_ood/images/tables`).

    Attributes:
        table: Its name.
        column: Of the table.
        value: Classes whose column has this value; by default the whole table.
    """

    table: str
    column: str = "group"
    value: str | None = None


ClassChoice = Annotated[
    Annotated[ClassSelection, Tag(": by a table")]
    | Annotated[tuple[str, ...], Field(min_length=1), Tag(": by their names")],
    Discriminator(lambda given: ": by their names" if isinstance(given, list | tuple) else ": by a table"),
]
"""Which classes of a data set count."""


class SpeciesSelection(Spec):
    """Some species of every supercategory, drawn by a seed; see `scaling_ood.images.species.split_species`.

    Attributes:
        take: `known`: what a classifier learns; `held_out`: what it meets as unknown.
        share: Of a supercategory's species that are held out.
        seed: Of the draw.
    """

    take: Literal["known", "held_out"]
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0


class PublishedSpec(Spec):
    """Which published data set a folder holds, to compare its size with; see `scaling_ood.images.counts`.

    Attributes:
        data_set: Its name in the table.
        part: The one part that the folder holds, such as a supercategory of Species; by default its splits tell.
    """

    data_set: str
    part: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        known_part(self.data_set, self.part)
        return self


class CurationSpec(Spec):
    """Which images of a scraped data set are left out (the paper, appendix C); see `scaling_ood.images.curation`.

    Attributes:
        quality: No-reference measure; None leaves quality out.
        cutoff: The worst value that stays; belongs to `quality`.
        flags: CSV of the images that somebody flagged by hand, relative to the data root, with `image` and `reason`.
    """

    quality: Annotated[str, AfterValidator(QUALITY_MEASURES.known)] | None = None
    cutoff: float | None = None
    flags: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.quality is None) != (self.cutoff is None):
            raise ValueError("quality and cutoff belong together: give both or neither")
        if self.quality is None and self.flags is None:
            raise ValueError("give quality with cutoff, flags, or both")
        return self


class FolderSpec(Spec):
    """Images on disk.

    Attributes:
        source: Photographs and renderings never share a mean.
        layout: Reader of the on-disk layout.
        folder: Relative to the data root, or to the project for rendered images.
        splits: Which of the data set's own splits count; all by default.
        classes: Which classes count, by their names or by a shipped table; all by default.
        species: Which species count, of the layout `species`; all by default.
        class_list: All classes that a published head knows, in its order; by default those that are there, sorted.
        published: What the folder is a copy of; where its size differs, preparation says so and goes on.
        curation: What is left out for its quality; nothing by default.
        titles: Shipped table that gives class names a person can read; by default the folders' names.
        groups: How classes are grouped: `class_prefix` takes a class's name up to its first underscore. By default they
            have no groups.
        images: At most so many, drawn by the benchmark's seed; all by default.
    """

    source: Literal["photographs", "fabricated"] = "photographs"
    layout: Annotated[str, AfterValidator(LAYOUTS.known)]
    folder: str
    splits: tuple[str, ...] | None = None
    classes: ClassChoice | None = None
    species: SpeciesSelection | None = None
    class_list: Annotated[str, AfterValidator(CLASS_LISTS.known)] | None = None
    published: PublishedSpec | None = None
    curation: CurationSpec | None = None
    titles: str | None = None
    groups: Literal["class_prefix"] | None = None
    images: Count | None = None

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if self.classes is not None and self.species is not None:
            raise ValueError("give classes or species, not both")
        return self


class NoiseSpec(Spec):
    """Images that are generated at the network's input size; `scaling_ood.images.noise.Noise` says how.

    Attributes:
        source: What tells them from images on disk.
        images: How many.
    """

    source: Literal["noise"]
    recipe: Literal["gaussian", "rademacher", "blobs"]
    images: Count = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    sigma: Annotated[float, Field(gt=0)] = 4.0
    border: Literal["nearest", "reflect", "mirror", "constant", "wrap"] = "nearest"
    blur_channels: bool = True
    noise_range: Literal["pixel", "tensor"] = "pixel"

    def noise(self) -> Noise:
        """The generator of these images."""
        return Noise(**self.model_dump(exclude={"source", "images"}))


def _has_source(raw: Any) -> Any:
    known = ("photographs", "fabricated", "noise")
    if isinstance(raw, Mapping) and raw.get("source") not in known:
        given = f"given: {raw['source']!r}" if "source" in raw else "it is missing"
        raise ValueError(f"source must be one of {', '.join(map(repr, known))} ({given})")
    return raw


DataSetSpec = Annotated[FolderSpec | NoiseSpec, Field(discriminator="source"), BeforeValidator(_has_source)]


class DataSets(RootModel[dict[str, DataSetSpec]]):
    """The library of data sets that benchmarks pick from, by name."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _named(self) -> Self:
        if problems := unfit_names("data set", self.root):
            raise ValueError("\n".join(problems))
        return self


class PartSpec(Spec):
    """Which images of the in-distribution set play one role (train, fit or test).

    Parts that draw on the same split share it without overlap, in the order train, fit, test; but where `train` takes
    all of its split, `fit` may name that split and draws from the training images.

    Attributes:
        split: The data set's own split to draw from; `all` where it has none.
        per_class: So many images of each class; what is left by default.
        share: This share of the split as a whole, whatever the class; not with `per_class`.
    """

    split: str
    per_class: Count | None = None
    share: Share | None = None

    @property
    def takes_all(self) -> bool:
        """Whether it claims whatever is left."""
        return self.per_class is None and self.share is None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.per_class is not None and self.share is not None:
            raise ValueError("give per_class or share, not both")
        return self


class DataSpec(AnyDataSpec):
    """Which images of which data sets play which role.

    Attributes:
        in_dist: Name of the in-distribution data set.
        ood: Names of the OOD data sets, in the order of the tables.
        train: Images that networks are trained on; none for published ones.
        fit: In-distribution images that detectors are fitted on; never test images. Training images, as in most papers,
            where they are of a split that training takes wholly.
        test: In-distribution test images of every detector.
        seed: Of every draw.
        most_unreadable: Share of images that may be quarantined before preparation stops with an error.
        orientation: `stored`: pixels as they lie in the file, as the published preprocessing takes them; `upright`:
            turned as EXIF says.
        sets: The named data sets, taken from the library `data_sets`; not to be given.
    """

    of_library: ClassVar[tuple[str, ...]] = ("in_dist", "ood")
    """Fields that name data sets of the library."""

    in_dist: Name
    ood: Annotated[tuple[Name, ...], Field(min_length=1)]
    train: PartSpec | None
    fit: PartSpec
    test: PartSpec
    seed: Annotated[int, Field(ge=0)] = 0
    most_unreadable: Annotated[float, Field(ge=0, le=1), Silent] = 0.01
    orientation: Orientation = "stored"
    sets: dict[str, DataSetSpec] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_library(cls, raw: Any, info: ValidationInfo) -> Any:
        library: Mapping[str, Any] = (info.context or {}).get("data_sets", {})
        if not library or not isinstance(raw, Mapping):
            return raw
        if "sets" in raw:
            raise ValueError("sets cannot be given: the library `data_sets` defines them")
        named = [raw.get("in_dist"), *(raw.get("ood") or ())]
        return {**raw, "sets": {name: library[name] for name in named if isinstance(name, str) and name in library}}

    @field_validator("in_dist", "ood")
    @classmethod
    def _known(cls, given: Any, info: ValidationInfo) -> Any:
        """Here, so that it is told whatever else is wrong."""
        library = (info.context or {}).get("data_sets")
        if library and info.field_name in cls.of_library:
            refuse_unknown("data set", [given] if isinstance(given, str) else given, library)
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = []
        if len(set(self.ood)) < len(self.ood) or self.in_dist in self.ood:
            problems.append(f"names a set twice: in_dist {self.in_dist}, ood {', '.join(self.ood)}")
        problems += reserved_names(self.ood)
        if isinstance(self.sets.get(self.in_dist), NoiseSpec):
            problems.append(f"in_dist cannot be noise: {self.in_dist}")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def roles(self) -> dict[str, PartSpec]:
        """Roles of in-distribution images that are played, and what each draws."""
        roles = {"train": self.train, "fit": self.fit, "test": self.test}
        return {role: part for role, part in roles.items() if part is not None}

    @property
    def sources(self) -> dict[str, str]:
        """Data set to `photographs`, `fabricated` or `noise`."""
        return {name: spec.source for name, spec in self.sets.items()}

    def photographs(self) -> dict[str, str]:
        """Data sets of photographs: name to folder, relative to the data root."""
        folders = {name: spec.folder for name, spec in self.sets.items() if isinstance(spec, FolderSpec)}
        return {name: folder for name, folder in folders.items() if self.sources[name] == "photographs"}

    def expected(self) -> dict[str, str]:
        """Data set to the shape that its layout expects of its folder, in words."""
        folders = {name: spec for name, spec in self.sets.items() if isinstance(spec, FolderSpec)}
        return {name: LAYOUTS.expected(spec.layout) for name, spec in folders.items()}

    def curated(self) -> list[str]:
        """Data sets that are curated."""
        return [name for name, spec in self.sets.items() if isinstance(spec, FolderSpec) and spec.curation is not None]
